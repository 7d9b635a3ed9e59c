import { CodedError, messageOf } from '../base/coded-error.ts';

/** Exit codes of every command: 0 fine, 1 findings or failure, 2 could not tell or bad usage. */
export const EXIT = { ok: 0, failure: 1, usage: 2 } as const;

/** A call that cannot be understood: ends the program with exit code 2 and the message on standard error. */
export class UsageError extends CodedError<'USAGE'> {
  constructor(message: string) {
    super('USAGE', message);
  }
}

/**
 * Returns what a person is told of an error. A failed pull has two texts: the message is what a kubelet prints, with the
 * status of a call that was never made here in front.
 */
export function textFor(error: unknown): string {
  const description = error instanceof Error && 'description' in error ? error.description : undefined;
  return typeof description === 'string' ? description : messageOf(error);
}

/** A failure together with what to do about it, which is printed behind it. */
export class AdvisedError extends Error {
  readonly advice: string;

  constructor(cause: unknown, advice: string) {
    super(textFor(cause), { cause });
    this.advice = advice;
  }
}
