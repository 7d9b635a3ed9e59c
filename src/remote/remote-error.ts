import { CodedError } from '../base/coded-error.ts';

export type RemoteErrorCode =
  | 'NOT_FOUND'
  | 'UNAUTHORIZED'
  | 'DENIED'
  | 'RATE_LIMITED'
  | 'UNREACHABLE'
  | 'TLS'
  | 'TIMEOUT'
  | 'SERVER_ERROR'
  | 'BAD_RESPONSE'
  | 'DIGEST_MISMATCH'
  | 'SIZE_MISMATCH'
  /** The body ended before as many bytes had come as there are. */
  | 'SHORT_BODY'
  | 'TOO_LARGE'
  | 'UNSUPPORTED'
  | 'HOST_CONFIG'
  | 'REJECTED';

/** What one host answered, for people: kept even when another host's answer is the one reported (rule 16.16). */
export interface HostAnswer {
  readonly host: string;
  readonly answer: string;
}

/**
 * What can go wrong between this program and a registry. The text is the one containerd gives for the same case, because
 * people and tools search for it (rule 17.12).
 */
export class RemoteError extends CodedError<RemoteErrorCode> {
  /** HTTP status, when there was an answer. */
  readonly status: number | undefined;
  /** Milliseconds the registry asked us to wait. */
  readonly retryAfterMs: number | undefined;
  /** Each host's own answer, in the order tried. */
  readonly answers: readonly HostAnswer[];

  constructor(
    code: RemoteErrorCode,
    message: string,
    options: {
      cause?: unknown;
      retryable?: boolean;
      status?: number | undefined;
      retryAfterMs?: number | undefined;
      answers?: readonly HostAnswer[];
    } = {},
  ) {
    super(code, message, options);
    this.status = options.status;
    this.retryAfterMs = options.retryAfterMs;
    this.answers = options.answers ?? [];
  }

  /** Returns the same error with a longer text in front, as Go's `%w` does. */
  wrap(prefix: string): RemoteError {
    return this.with({ message: `${prefix}: ${this.message}` });
  }

  /** Returns a copy with another text or other answers. */
  with(change: { message?: string; answers?: readonly HostAnswer[] }): RemoteError {
    return new RemoteError(this.code, change.message ?? this.message, {
      cause: this,
      retryable: this.retryable,
      status: this.status,
      retryAfterMs: this.retryAfterMs,
      answers: change.answers ?? this.answers,
    });
  }
}
