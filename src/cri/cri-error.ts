import { CodedError } from '../base/coded-error.ts';

/** `BAD_ENDPOINT`: no address. `UNAVAILABLE`: nobody answers there. `IN_USE`: somebody serves there already. `BAD_ANSWER`: it broke the protocol. `FAILED`: the runtime refused. */
export class CriError extends CodedError<
  'BAD_ENDPOINT' | 'UNAVAILABLE' | 'IN_USE' | 'BAD_ANSWER' | 'FAILED'
> {}
