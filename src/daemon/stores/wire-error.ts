import { ArchiveError, type ArchiveErrorCode } from '../../archive/archive-error.ts';
import { CodedError, messageOf } from '../../base/coded-error.ts';
import { ContentError, type ContentErrorCode } from '../../content/content-error.ts';
import { ImageError, type ImageErrorCode } from '../../images/image-error.ts';
import { PullError, type PullErrorCode, type PullStatus } from '../../pull/pull-error.ts';
import { RemoteError, type HostAnswer, type RemoteErrorCode } from '../../remote/remote-error.ts';

/** How far causes are told: what is behind that explains nothing any more. */
const MAX_CAUSES = 8;

/** An error as it is told on the socket: the class, so that callers switch on codes as if it had happened in their own process. */
export interface WireError {
  readonly kind: 'pull' | 'remote' | 'content' | 'image' | 'archive' | 'other';
  readonly message: string;
  readonly code?: string;
  readonly retryable?: boolean;
  readonly status?: number | string;
  readonly retryAfterMs?: number;
  readonly answers?: readonly HostAnswer[];
  readonly cause?: WireError;
}

/** Tells an error. */
export function toWireError(thrown: unknown, depth = 0): WireError {
  const cause =
    thrown instanceof Error && thrown.cause !== undefined && depth < MAX_CAUSES
      ? { cause: toWireError(thrown.cause, depth + 1) }
      : {};
  const coded = thrown instanceof CodedError ? { retryable: thrown.retryable } : {};
  const code = thrown instanceof Error && 'code' in thrown ? { code: String(thrown.code) } : {};
  const common = { message: messageOf(thrown), ...code, ...coded, ...cause };
  if (thrown instanceof PullError) {
    const { description, status, answers, retryAfterMs } = thrown;
    return { kind: 'pull', ...common, message: description, status, answers, ...given({ retryAfterMs }) };
  }
  if (thrown instanceof RemoteError) {
    const { status, answers, retryAfterMs } = thrown;
    return { kind: 'remote', ...common, answers, ...given({ status, retryAfterMs }) };
  }
  if (thrown instanceof ContentError) return { kind: 'content', ...common };
  if (thrown instanceof ImageError) return { kind: 'image', ...common };
  return { kind: thrown instanceof ArchiveError ? 'archive' : 'other', ...common };
}

/** Makes the error that was told. */
export function fromWireError(told: WireError): Error {
  const { message, answers = [], retryAfterMs } = told;
  const options = {
    ...(told.cause === undefined ? {} : { cause: fromWireError(told.cause) }),
    retryable: told.retryable ?? false,
  };
  switch (told.kind) {
    case 'pull':
      return new PullError(told.code as PullErrorCode, message, {
        ...options,
        answers,
        retryAfterMs,
        ...(typeof told.status === 'string' ? { status: told.status as PullStatus } : {}),
      });
    case 'remote':
      return new RemoteError(told.code as RemoteErrorCode, message, {
        ...options,
        answers,
        retryAfterMs,
        ...(typeof told.status === 'number' ? { status: told.status } : {}),
      });
    case 'content':
      return new ContentError(told.code as ContentErrorCode, message, options);
    case 'image':
      return new ImageError(told.code as ImageErrorCode, message, options);
    case 'archive':
      return new ArchiveError(told.code as ArchiveErrorCode, message, options);
    case 'other': {
      const error = new Error(message, options);
      return told.code === undefined ? error : Object.assign(error, { code: told.code });
    }
  }
}

function given<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
