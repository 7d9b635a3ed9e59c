import { writeFileAtomic } from '../base/atomic-file.ts';
import { isSystemError } from '../base/coded-error.ts';
import { readRecord, recordPath } from './_layer-record.ts';
import { ImageError } from './image-error.ts';
import { run } from './overlay-support.ts';

/** Longest that flushing may take: a slow disk with gigabytes to write. */
const FLUSH_MS = 30 * 60 * 1000;
/** Time in which layers are gathered for one flush, in milliseconds: those of one image as a rule come within it. */
const GATHER_MS = 2_000;

/**
 * Flushes unpacked layers to disk behind the back of the pull: one `sync -f` for all that came within two seconds, in place of
 * thousands of fsync. A layer may be used at once; until it is flushed its record says in which boot it was written.
 */
export class LayerFlush {
  readonly #root: string;
  readonly #waiting = new Set<string>();
  #flushing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param root directory on the file system of the layers */
  constructor(root: string) {
    this.#root = root;
  }

  add(directory: string): void {
    this.#waiting.add(directory);
    // Whoever ends the process asks for what is left to be done at once.
    this.#timer ??= setTimeout(() => this.#start(), GATHER_MS).unref();
  }

  forget(directory: string): void {
    this.#waiting.delete(directory);
  }

  /** Flushes what is left at once and waits for it. */
  async done(): Promise<void> {
    this.#start();
    while (this.#flushing !== undefined) {
      await this.#flushing;
      this.#start();
    }
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.size > 0) void (this.#flushing ??= this.#flush());
  }

  async #flush(): Promise<void> {
    const waiting = [...this.#waiting];
    try {
      const complaint = await run('sync', ['-f', this.#root], { timeoutMs: FLUSH_MS });
      for (const directory of waiting) this.#waiting.delete(directory);
      // Without `sync -f` (busybox) the mark stays, and the layer is unpacked again after the next boot.
      if (complaint === undefined) await Promise.all(waiting.map(unmark));
    } finally {
      this.#flushing = undefined;
      if (this.#waiting.size > 0) this.#timer ??= setTimeout(() => this.#start(), GATHER_MS).unref();
    }
  }
}

async function unmark(directory: string): Promise<void> {
  try {
    const record = await readRecord(directory);
    if (record === undefined) return;
    const { unsyncedBoot: _, ...rest } = record;
    await writeFileAtomic(recordPath(directory), JSON.stringify(rest));
  } catch (error) {
    // The layer was removed meanwhile, or cannot be written: then the mark stays.
    if (!isSystemError(error) && !(error instanceof ImageError)) throw error;
  }
}
