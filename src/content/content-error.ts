import { CodedError } from '../base/coded-error.ts';

export type ContentErrorCode =
  | 'NOT_FOUND'
  | 'LOCKED'
  | 'DIGEST_MISMATCH'
  | 'SIZE_MISMATCH'
  | 'OUT_OF_RANGE'
  | 'NO_SPACE'
  | 'DAMAGED';

/** What can go wrong between a caller and a content store. */
export class ContentError extends CodedError<ContentErrorCode> {}
