import { status as Status } from '@grpc/grpc-js';
import { messageOf } from '../base/coded-error.ts';
import { ImageError, type ImageErrorCode } from '../images/image-error.ts';
import { PullError, type PullStatus } from '../pull/pull-error.ts';

/** How gRPC names its status codes in messages. @see gRPC, doc/statuscodes.md */
export const STATUS_NAMES: Readonly<Record<number, string>> = {
  [Status.OK]: 'OK',
  [Status.CANCELLED]: 'Canceled',
  [Status.UNKNOWN]: 'Unknown',
  [Status.INVALID_ARGUMENT]: 'InvalidArgument',
  [Status.DEADLINE_EXCEEDED]: 'DeadlineExceeded',
  [Status.NOT_FOUND]: 'NotFound',
  [Status.ALREADY_EXISTS]: 'AlreadyExists',
  [Status.PERMISSION_DENIED]: 'PermissionDenied',
  [Status.RESOURCE_EXHAUSTED]: 'ResourceExhausted',
  [Status.FAILED_PRECONDITION]: 'FailedPrecondition',
  [Status.ABORTED]: 'Aborted',
  [Status.OUT_OF_RANGE]: 'OutOfRange',
  [Status.UNIMPLEMENTED]: 'Unimplemented',
  [Status.INTERNAL]: 'Internal',
  [Status.UNAVAILABLE]: 'Unavailable',
  [Status.DATA_LOSS]: 'DataLoss',
  [Status.UNAUTHENTICATED]: 'Unauthenticated',
};

const OF_PULL: Readonly<Record<PullStatus, Status>> = {
  NotFound: Status.NOT_FOUND,
  FailedPrecondition: Status.FAILED_PRECONDITION,
  InvalidArgument: Status.INVALID_ARGUMENT,
  Canceled: Status.CANCELLED,
  Unimplemented: Status.UNIMPLEMENTED,
  Unknown: Status.UNKNOWN,
};

const OF_IMAGE: Readonly<Record<ImageErrorCode, Status>> = {
  NOT_FOUND: Status.NOT_FOUND,
  BAD_STATE: Status.INTERNAL,
  DAMAGED: Status.DATA_LOSS,
  IO: Status.UNKNOWN,
};

/** Says how an error travels: its status code and the text without any wrapping (rule 12.8). */
export function wireStatus(thrown: unknown): { readonly code: Status; readonly details: string } {
  if (thrown instanceof PullError) return { code: OF_PULL[thrown.status], details: thrown.description };
  if (thrown instanceof ImageError) return { code: OF_IMAGE[thrown.code], details: thrown.message };
  if (thrown instanceof Error && thrown.name === 'AbortError')
    return { code: Status.CANCELLED, details: 'context canceled' };
  return { code: Status.UNKNOWN, details: messageOf(thrown) };
}
