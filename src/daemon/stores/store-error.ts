import { CodedError } from '../../base/coded-error.ts';

export type StoreErrorCode =
  /** The process that holds the root ended, or cut the session. */
  | 'HOLDER_GONE'
  /** The holder speaks another version of this protocol, or does not understand the question. */
  | 'NOT_UNDERSTOOD';

/** What can go wrong between a command and the process that holds the root. */
export class StoreError extends CodedError<StoreErrorCode> {}
