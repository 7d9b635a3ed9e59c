import { CodedError } from '../../base/coded-error.ts';

/** `BAD_FILE`: a hosts file says something that has no meaning. `UNREADABLE`: a certificate or key cannot be used. */
export class HostConfigError extends CodedError<'BAD_FILE' | 'UNREADABLE'> {}
