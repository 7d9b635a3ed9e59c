import { writeFileAtomic } from '../base/atomic-file.ts';
import { isSystemError } from '../base/coded-error.ts';
import { readRecord, recordPath } from './_layer-record.ts';
import { ImageError } from './image-error.ts';
import { run } from './overlay-support.ts';

/** Longest that flushing may take: a slow disk with gigabytes to write. */
const FLUSH_MS = 30 * 60 * 1000;

/**
 * Flushes unpacked layers to disk behind the back of the pull: one `sync -f` for all that wait, in place of thousands of fsync. A
 * layer may be used at once; until it is flushed its record says in which boot it was written.
 */
export class LayerFlush {
  readonly #root: string;
  readonly #waiting = new Set<string>();
  #flushing: Promise<void> | undefined;

  /** @param root directory on the file system of the layers */
  constructor(root: string) {
    this.#root = root;
  }

  add(directory: string): void {
    this.#waiting.add(directory);
    this.#start();
  }

  forget(directory: string): void {
    this.#waiting.delete(directory);
  }

  /** Waits until nothing is left to flush. */
  async done(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
  }

  #start(): void {
    if (this.#waiting.size > 0) void (this.#flushing ??= this.#flush());
  }

  async #flush(): Promise<void> {
    const waiting = [...this.#waiting];
    try {
      const complaint = await run('sync', ['-f', this.#root], { timeoutMs: FLUSH_MS });
      for (const directory of waiting) {
        this.#waiting.delete(directory);
        // Without `sync -f` (busybox) the mark stays, and the layer is unpacked again after the next boot.
        if (complaint === undefined) await unmark(directory);
      }
    } finally {
      this.#flushing = undefined;
      this.#start();
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
