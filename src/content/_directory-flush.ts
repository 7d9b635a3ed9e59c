import { syncDirectory } from '../base/atomic-file.ts';

/**
 * Flushes a directory for all who ask while an earlier flush runs at once: of many names put there in a short time, few
 * flushes make all durable.
 */
export class DirectoryFlush {
  readonly #sync: () => Promise<void>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /** @param sync flushes the directory at `path`: the kernel's way by default */
  constructor(path: string, sync: (path: string) => Promise<void> = syncDirectory) {
    this.#sync = () => sync(path);
  }

  /** Resolves when the names that are in the directory now are durable. */
  flush(): Promise<void> {
    if (this.#running === undefined) return this.#run();
    // The flush under way may have begun before the caller's name was there; the next one begins after.
    this.#next ??= this.#running.then(
      () => this.#run(),
      () => this.#run(),
    );
    return this.#next;
  }

  #run(): Promise<void> {
    this.#next = undefined;
    const running = this.#sync().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }
}
