import { CodedError } from '../base/coded-error.ts';
import { ContentError } from '../content/content-error.ts';

/**
 * Codes of distribution errors and the HTTP status each is answered with. The specification names those up to
 * `TOOMANYREQUESTS`; the others are what it leaves to a status alone.
 *
 * @see OCI distribution-spec v1.1.1, "Error Codes"
 */
const STATUS = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  SIZE_INVALID: 400,
  UNAUTHORIZED: 401,
  DENIED: 403,
  UNSUPPORTED: 405,
  TOOMANYREQUESTS: 429,
  QUOTA_EXCEEDED: 403,
  RANGE_INVALID: 416,
  TAG_INVALID: 400,
  PAGINATION_NUMBER_INVALID: 400,
  MANIFEST_TOO_LARGE: 413,
  UPLOAD_BUSY: 409,
  NOT_FOUND: 404,
  INSUFFICIENT_STORAGE: 507,
  UNAVAILABLE: 503,
  UNKNOWN: 500,
} as const;

export type RegistryErrorCode = keyof typeof STATUS;

/** Codes outside the specification go over the wire as the nearest one that clients know. */
const WIRE_CODE: Partial<Record<RegistryErrorCode, string>> = {
  RANGE_INVALID: 'BLOB_UPLOAD_INVALID',
  TAG_INVALID: 'MANIFEST_INVALID',
  MANIFEST_TOO_LARGE: 'SIZE_INVALID',
  UPLOAD_BUSY: 'BLOB_UPLOAD_INVALID',
  INSUFFICIENT_STORAGE: 'DENIED',
  QUOTA_EXCEEDED: 'DENIED',
};

export interface RegistryErrorOptions {
  readonly cause?: unknown;
  readonly retryable?: boolean;
  /** Shown to the client as it is. */
  readonly detail?: unknown;
  /** Headers that belong to the answer, such as `Range` beside a 416. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Replaces the status of the code where the specification lets one code mean several. */
  readonly status?: number;
  /** Several faults of one body, each reported as an error of this code. */
  readonly details?: readonly unknown[];
}

/** A failure that the client is told about in the specification's words. */
export class RegistryError extends CodedError<RegistryErrorCode> {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly #details: readonly unknown[];

  constructor(code: RegistryErrorCode, message: string, options: RegistryErrorOptions = {}) {
    super(code, message, options);
    this.status = options.status ?? STATUS[code];
    this.headers = options.headers ?? {};
    this.#details = options.details ?? [options.detail];
  }

  /** Returns the JSON body. @see OCI distribution-spec v1.1.1, "Error Codes" */
  body(): { errors: { code: string; message: string; detail?: unknown }[] } {
    const code = WIRE_CODE[this.code] ?? this.code;
    return {
      errors: this.#details.map((detail) => ({
        code,
        message: this.message,
        ...(detail === undefined ? {} : { detail }),
      })),
    };
  }
}

/** Turns whatever was thrown while a request was served into the answer to it; a fault of our own says nothing inside. */
export function registryErrorFrom(thrown: unknown): RegistryError {
  if (thrown instanceof RegistryError) return thrown;
  if ((thrown instanceof ContentError && thrown.code === 'NO_SPACE') || isFullDatabase(thrown)) {
    return new RegistryError('INSUFFICIENT_STORAGE', 'the registry has no space left for this content', {
      cause: thrown,
      retryable: true,
    });
  }
  return new RegistryError('UNKNOWN', 'internal error', { cause: thrown });
}

/** SQLite's code for a disk without room. @see https://sqlite.org/rescode.html#full */
const SQLITE_FULL = 13;

function isFullDatabase(thrown: unknown): boolean {
  return thrown instanceof Error && 'errcode' in thrown && thrown.errcode === SQLITE_FULL;
}
