import { CodedError } from '../../base/coded-error.ts';

/** A selector that cannot be read; the message is the text of the API's 400 answer. */
export class SelectorError extends CodedError<'BAD_SELECTOR' | 'UNSUPPORTED_FIELD'> {}
