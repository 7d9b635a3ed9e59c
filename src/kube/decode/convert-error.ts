import { CodedError } from '../../base/coded-error.ts';

/** A value that does not fit its kind; the message is that of Go's JSON decoder. */
export class ConvertError extends CodedError<'WRONG_TYPE'> {}
