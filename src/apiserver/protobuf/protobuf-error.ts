import { CodedError } from '../../base/coded-error.ts';

/** A body that is not what its content type says; the message names what is wrong. */
export class ProtobufError extends CodedError<'TRUNCATED' | 'MALFORMED' | 'UNKNOWN_KIND' | 'TOO_DEEP'> {}
