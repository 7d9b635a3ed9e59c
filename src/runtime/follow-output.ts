import { watch, type FSWatcher } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';

/** Bytes read at once. */
const CHUNK_BYTES = 64 * 1024;

/** Longest wait for news of a file: notifications can be lost. */
const LOOK_MS = 500;

/** Reads what is appended to a file from now on, until `ended` says that nothing more will come, or the signal aborts. */
export async function followOutput(
  path: string,
  ended: () => boolean,
  signal: AbortSignal,
): Promise<Readable> {
  signal.throwIfAborted();
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    // Whoever let go meanwhile would not be told of what comes from here.
    signal.throwIfAborted();
    return new AppendedOutput(file, watch(path, { persistent: false }), size, ended, signal);
  } catch (error) {
    await file.close();
    throw error;
  }
}

class AppendedOutput extends Readable {
  readonly #file: FileHandle;
  readonly #watcher: FSWatcher;
  readonly #ended: () => boolean;
  readonly #signal: AbortSignal;
  readonly #onAbort = (): void => void this.destroy();
  #position: number;
  #changed = false;
  #wake: (() => void) | undefined;
  #reading: Promise<void> = Promise.resolve();

  constructor(
    file: FileHandle,
    watcher: FSWatcher,
    position: number,
    ended: () => boolean,
    signal: AbortSignal,
  ) {
    super();
    this.#file = file;
    this.#watcher = watcher;
    this.#position = position;
    this.#ended = ended;
    this.#signal = signal;
    const news = (): void => {
      this.#changed = true;
      this.#wake?.();
    };
    watcher.on('change', news);
    // The file is gone: the next look finds that the container has ended.
    watcher.on('error', news);
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  override _read(): void {
    this.#reading = this.#readOn().catch((error: unknown) => {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
    });
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#watcher.close();
    this.#wake?.();
    void this.#closeFile();
    callback(error);
  }

  async #closeFile(): Promise<void> {
    // Only then is nobody reading from it any more.
    await this.#reading;
    // A file that cannot be closed has nobody to be told.
    await this.#file.close().catch(() => undefined);
  }

  async #readOn(): Promise<void> {
    while (!this.destroyed) {
      this.#changed = false;
      // Asked before reading: what was written before the end is in the file by then.
      const last = this.#ended();
      const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
      const { bytesRead } = await this.#file.read(buffer, 0, CHUNK_BYTES, this.#position);
      if (bytesRead > 0) {
        this.#position += bytesRead;
        this.push(buffer.subarray(0, bytesRead));
        return;
      }
      if (last) {
        this.push(null);
        return;
      }
      await this.#news();
    }
  }

  async #news(): Promise<void> {
    if (this.#changed) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, LOOK_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }
}
