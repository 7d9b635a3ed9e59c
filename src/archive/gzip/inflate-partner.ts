import type { MessagePort } from 'node:worker_threads';
import { messageOf } from '../../base/coded-error.ts';
import { ArchiveError } from '../archive-error.ts';
import { GzipInflater, type InflateCursor } from './gzip-inflater.ts';

/*
 * Two threads that inflate and use one stream: the one that uses it hands the stream's turn over with the windows to fill, and gets the turn
 * back when they are full or input is needed. The stream's memory is shared, so only the turn travels.
 */

interface FillRequest {
  readonly memory: WebAssembly.Memory;
  readonly cursor: InflateCursor;
  /** Windows to fill: the first one is the cursor's own, which may hold something. */
  readonly windows: readonly number[];
}

/** A window that is full, and how many bytes it holds. */
interface FilledWindow {
  readonly window: number;
  readonly length: number;
}

type FillAnswer =
  | { readonly kind: 'filled'; readonly cursor: InflateCursor; readonly windows: readonly FilledWindow[] }
  /** The partner has work of its own; nothing was done. */
  | { readonly kind: 'busy' }
  | { readonly kind: 'failed'; readonly message: string };

/** A thread with nothing else to do that inflates for this one. */
export class InflatePartner {
  readonly #port: MessagePort;
  #waiting: { resolve: (answer: FillAnswer) => void; reject: (error: Error) => void } | undefined;
  #gone = false;

  constructor(port: MessagePort) {
    this.#port = port;
    port.on('message', (answer: FillAnswer) => {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      waiting?.resolve(answer);
      if (this.#gone) port.close();
    });
    port.on('close', () => {
      this.#gone = true;
      this.#waiting?.reject(new ArchiveError('IO', 'Cannot unpack layer: a worker thread failed'));
    });
  }

  /** Whether it can no longer be asked. */
  get gone(): boolean {
    return this.#gone;
  }

  /**
   * Fills windows one after the other, until they are full or input is needed.
   *
   * @returns the full ones; undefined when the partner has other work now and did nothing
   * @throws ArchiveError
   */
  async fill(inflater: GzipInflater, windows: readonly number[]): Promise<Buffer[] | undefined> {
    const request: FillRequest = { memory: inflater.memory, cursor: inflater.cursor, windows };
    const answer = await new Promise<FillAnswer>((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#port.postMessage(request, []);
    });
    if (answer.kind === 'busy') {
      this.close();
      return undefined;
    }
    if (answer.kind === 'failed') throw new ArchiveError('BAD_ARCHIVE', answer.message);
    inflater.cursor = answer.cursor;
    return answer.windows.map(({ window, length }) => inflater.view(window, length));
  }

  /** Lets the partner go, after the turn that it may have; harmless when it went by itself. */
  close(): void {
    this.#gone = true;
    if (this.#waiting === undefined) this.#port.close();
  }
}

/** Inflates for the thread at the other end of the port, as long as this one is not busy. */
export function serveInflate(port: MessagePort, isBusy: () => boolean): void {
  let inflater: GzipInflater | undefined;
  port.on('message', ({ memory, cursor, windows }: FillRequest) => {
    if (isBusy()) {
      port.postMessage({ kind: 'busy' } satisfies FillAnswer, []);
      return;
    }
    try {
      inflater ??= new GzipInflater(memory);
      inflater.cursor = cursor;
      const full: FilledWindow[] = [];
      for (const window of windows) {
        if (inflater.cursor.window !== window) inflater.open(window);
        if (!inflater.fill()) break;
        full.push({ window, length: inflater.made().length });
      }
      port.postMessage({ kind: 'filled', cursor: inflater.cursor, windows: full } satisfies FillAnswer, []);
    } catch (error) {
      port.postMessage({ kind: 'failed', message: messageOf(error) } satisfies FillAnswer, []);
    }
  });
}
