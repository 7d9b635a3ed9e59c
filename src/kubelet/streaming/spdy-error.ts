import { CodedError } from '../../base/coded-error.ts';

/**
 * What can go wrong between two ends of a SPDY connection: `PROTOCOL` the other end does not speak it, `BAD_HEADERS` unreadable headers,
 * `REFUSED` the other end wants no such stream, `CLOSED` the connection is no more.
 */
export class SpdyError extends CodedError<'PROTOCOL' | 'BAD_HEADERS' | 'REFUSED' | 'CLOSED'> {}
