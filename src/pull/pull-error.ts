import { CodedError, messageOf } from '../base/coded-error.ts';
import { ContentError } from '../content/content-error.ts';
import { ManifestError } from '../oci/manifest-error.ts';
import { HostConfigError } from '../remote/hosts/host-config-error.ts';
import { RemoteError, type HostAnswer, type RemoteErrorCode } from '../remote/remote-error.ts';

export type PullErrorCode =
  | 'INVALID_REFERENCE'
  | 'NOT_FOUND'
  | 'UNAUTHORIZED'
  | 'DENIED'
  | 'NO_MATCHING_PLATFORM'
  | 'DIGEST_MISMATCH'
  | 'SIZE_MISMATCH'
  | 'RATE_LIMITED'
  | 'UNREACHABLE'
  | 'TLS'
  | 'TIMEOUT'
  | 'SERVER_ERROR'
  | 'BAD_RESPONSE'
  | 'BAD_IMAGE'
  | 'UNSUPPORTED'
  | 'TOO_LARGE'
  | 'HOST_CONFIG'
  | 'NO_SPACE'
  | 'STORE'
  | 'UNPACK'
  | 'CANCELED';

/** gRPC status names that CRI gives to failed pulls. */
export type PullStatus =
  | 'NotFound'
  | 'FailedPrecondition'
  | 'InvalidArgument'
  | 'Canceled'
  | 'Unimplemented'
  | 'Unknown';

/**
 * Says why an image could not be pulled. `message` is what the kubelet prints: containerd's text, behind
 * `rpc error: code = … desc = ` unless the status is `Unknown` (rule 12.8); `description` is the text alone, for people and
 * for CRI answers.
 */
export class PullError extends CodedError<PullErrorCode> {
  readonly status: PullStatus;
  readonly description: string;
  /** Each host's own answer, where several were asked. */
  readonly answers: readonly HostAnswer[];
  /** Milliseconds the registry asked us to wait. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: PullErrorCode,
    description: string,
    options: {
      cause?: unknown;
      retryable?: boolean;
      answers?: readonly HostAnswer[];
      retryAfterMs?: number | undefined;
      status?: PullStatus;
    } = {},
  ) {
    const status = options.status ?? statusOf(code, description);
    super(
      code,
      status === 'Unknown' ? description : `rpc error: code = ${status} desc = ${description}`,
      options,
    );
    this.status = status;
    this.description = description;
    this.answers = options.answers ?? [];
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Go wraps its errors, and what is at the end of the chain decides: `… : not found` is NotFound wherever it came from. */
function statusOf(code: PullErrorCode, description: string): PullStatus {
  if (code === 'CANCELED') return 'Canceled';
  if (code === 'UNAUTHORIZED' || code === 'DENIED') return 'Unknown';
  if (description.endsWith(': not found')) return 'NotFound';
  if (description.endsWith(': failed precondition')) return 'FailedPrecondition';
  if (description.endsWith(': invalid argument')) return 'InvalidArgument';
  return description.endsWith(': not implemented') ? 'Unimplemented' : 'Unknown';
}

const CODE_OF_REMOTE: Readonly<Record<RemoteErrorCode, PullErrorCode>> = {
  NOT_FOUND: 'NOT_FOUND',
  UNAUTHORIZED: 'UNAUTHORIZED',
  DENIED: 'DENIED',
  RATE_LIMITED: 'RATE_LIMITED',
  UNREACHABLE: 'UNREACHABLE',
  TLS: 'TLS',
  TIMEOUT: 'TIMEOUT',
  SERVER_ERROR: 'SERVER_ERROR',
  BAD_RESPONSE: 'BAD_RESPONSE',
  DIGEST_MISMATCH: 'DIGEST_MISMATCH',
  SIZE_MISMATCH: 'SIZE_MISMATCH',
  SHORT_BODY: 'SIZE_MISMATCH',
  TOO_LARGE: 'TOO_LARGE',
  UNSUPPORTED: 'UNSUPPORTED',
  HOST_CONFIG: 'HOST_CONFIG',
  REJECTED: 'BAD_RESPONSE',
};

/** Makes a {@link PullError} of whatever was thrown, with `prefix` in front of its text: the only way in from a `catch`. */
export function asPullError(thrown: unknown, prefix: string): PullError {
  const text = `${prefix}: `;
  if (thrown instanceof PullError) {
    return new PullError(thrown.code, `${text}${thrown.description}`, {
      cause: thrown.cause ?? thrown,
      retryable: thrown.retryable,
      answers: thrown.answers,
      retryAfterMs: thrown.retryAfterMs,
    });
  }
  if (thrown instanceof RemoteError) {
    return new PullError(CODE_OF_REMOTE[thrown.code], `${text}${thrown.message}`, {
      cause: thrown,
      retryable: thrown.retryable,
      answers: thrown.answers,
      retryAfterMs: thrown.retryAfterMs,
    });
  }
  if (thrown instanceof ManifestError) {
    const code = thrown.code === 'NO_PLATFORM' ? 'NO_MATCHING_PLATFORM' : 'BAD_IMAGE';
    return new PullError(code, `${text}${thrown.message}`, { cause: thrown });
  }
  if (thrown instanceof HostConfigError)
    return new PullError('HOST_CONFIG', `${text}${thrown.message}`, { cause: thrown });
  if (thrown instanceof ContentError) {
    const code = contentCode(thrown);
    return new PullError(code, `${text}${thrown.message}`, { cause: thrown });
  }
  if (thrown instanceof Error && (thrown.name === 'AbortError' || thrown.name === 'TimeoutError'))
    return new PullError('CANCELED', `${text}context canceled`, { cause: thrown, retryable: true });
  return new PullError('STORE', `${text}${messageOf(thrown)}`, { cause: thrown });
}

function contentCode(error: ContentError): PullErrorCode {
  if (error.code === 'DIGEST_MISMATCH' || error.code === 'SIZE_MISMATCH' || error.code === 'NO_SPACE')
    return error.code;
  return 'STORE';
}
