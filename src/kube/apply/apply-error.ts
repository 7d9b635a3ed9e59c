import { CodedError } from '../../base/coded-error.ts';

/** A configuration that does not fit its kind's schema; the message names the place, as the API does. */
export class ApplyError extends CodedError<'BAD_CONFIGURATION'> {}
