import { ContentError } from './content-error.ts';

/** Lets one holder at a time have each ref, within this process. */
export class RefLocks {
  readonly #held = new Map<string, Promise<void>>();

  has(ref: string): boolean {
    return this.#held.has(ref);
  }

  /**
   * Takes the ref and returns the function that lets go of it; calling that again does nothing.
   *
   * @param wait waits for another holder until this aborts, instead of failing
   * @throws ContentError `LOCKED`; `wait`'s reason when it aborts
   */
  async take(ref: string, wait: AbortSignal | undefined): Promise<() => void> {
    for (let holder = this.#held.get(ref); holder !== undefined; holder = this.#held.get(ref)) {
      if (wait === undefined) throw lockedError(ref);
      await settledOrAborted(holder, wait);
    }
    const { promise: released, resolve } = Promise.withResolvers<void>();
    this.#held.set(ref, released);
    return () => {
      if (this.#held.get(ref) === released) this.#held.delete(ref);
      resolve();
    };
  }
}

export function lockedError(ref: string): ContentError {
  return new ContentError('LOCKED', `Cannot open ingest "${ref}": it is already open`, { retryable: true });
}

/** Waits for `settled`, or throws the signal's reason when it aborts first. */
async function settledOrAborted(settled: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([settled, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
