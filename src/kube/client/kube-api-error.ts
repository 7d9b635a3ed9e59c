import { CodedError, messageOf } from '../../base/coded-error.ts';
import type { Status, StatusReason } from '../status.ts';

/** `Transport`: no answer came, or not a whole one. Others are the reasons of a Status; `''` is a Status without one. */
export type KubeApiErrorCode = StatusReason | 'Transport';

const CODES: ReadonlySet<string> = new Set<KubeApiErrorCode>([
  '',
  'Unauthorized',
  'Forbidden',
  'NotFound',
  'AlreadyExists',
  'Conflict',
  'Gone',
  'Invalid',
  'ServerTimeout',
  'Timeout',
  'TooManyRequests',
  'BadRequest',
  'MethodNotAllowed',
  'NotAcceptable',
  'RequestEntityTooLarge',
  'UnsupportedMediaType',
  'InternalError',
  'Expired',
  'ServiceUnavailable',
  'Unknown',
]);
const RETRYABLE: ReadonlySet<string> = new Set<KubeApiErrorCode>([
  'Transport',
  'Conflict',
  'ServerTimeout',
  'Timeout',
  'TooManyRequests',
  'InternalError',
  'ServiceUnavailable',
]);

/** A request to an API server that failed: the server's Status, or a transport failure without one. */
export class KubeApiError extends CodedError<KubeApiErrorCode> {
  /** Absent for transport failures. */
  readonly status: Status | undefined;

  constructor(
    code: KubeApiErrorCode,
    message: string,
    options: { cause?: unknown; status?: Status | undefined } = {},
  ) {
    super(code, message, { cause: options.cause, retryable: RETRYABLE.has(code) });
    this.status = options.status;
  }

  /** Makes the error from an answer's Status. */
  static fromStatus(status: Status): KubeApiError {
    const reason: string = status.reason ?? '';
    const code = CODES.has(reason) ? (reason as KubeApiErrorCode) : 'Unknown';
    return new KubeApiError(code, status.message ?? `the server answered ${status.code}`, { status });
  }

  /** Makes the error from whatever a `catch` got while `action` was tried; one of our own stays as it is. */
  static from(thrown: unknown, action: string): KubeApiError {
    if (thrown instanceof KubeApiError) return thrown;
    return new KubeApiError('Transport', `Cannot ${action}: ${messageOf(thrown)}`, { cause: thrown });
  }
}

/** Tells whether `thrown` is an API failure of one of these codes. */
export function isApiError(thrown: unknown, ...codes: readonly KubeApiErrorCode[]): thrown is KubeApiError {
  return thrown instanceof KubeApiError && codes.includes(thrown.code);
}
