import { CodedError, messageOf } from '../base/coded-error.ts';

/** Exit codes of every command: 0 fine, 1 findings or failure, 2 could not tell or bad usage. */
export const EXIT = { ok: 0, failure: 1, usage: 2 } as const;

/** A call that cannot be understood: ends the program with exit code 2 and the message on standard error. */
export class UsageError extends CodedError<'USAGE'> {
  constructor(message: string) {
    super('USAGE', message);
  }
}

/** A failure together with what to do about it, which is printed behind it. */
export class AdvisedError extends Error {
  readonly advice: string;

  constructor(cause: unknown, advice: string) {
    super(messageOf(cause), { cause });
    this.advice = advice;
  }
}
