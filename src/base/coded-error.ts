/**
 * Carries a failure across a boundary of the program: callers switch on `code`, never on the message.
 *
 * Each boundary derives one class with a closed union of codes:
 *
 * ```ts
 * export type ContentErrorCode = 'NOT_FOUND' | 'DIGEST_MISMATCH';
 * export class ContentError extends CodedError<ContentErrorCode> {}
 * ```
 *
 * The message says the action, quotes the value, then the state after a colon, without a full stop.
 */
export class CodedError<C extends string = string> extends Error {
  readonly code: C;
  /** Whether the same action can succeed when it is tried again unchanged. */
  readonly retryable: boolean;

  constructor(code: C, message: string, options: { cause?: unknown; retryable?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** Returns the text of whatever was thrown; for messages only, never for decisions. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Tells whether `thrown` is a Node system error with the given code, such as `ENOENT`. */
export function isSystemError(thrown: unknown, code?: string): thrown is NodeJS.ErrnoException {
  if (!(thrown instanceof Error) || !('code' in thrown) || !('syscall' in thrown)) return false;
  return code === undefined || thrown.code === code;
}
