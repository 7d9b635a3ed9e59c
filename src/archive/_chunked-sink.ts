import { MESSAGE_BYTES, type Running } from './_pool-worker.ts';
import type { UnpackResult } from './unpack-job.ts';
import type { UnpackSink } from './unpack-sink.ts';

/** Gathers what is written into messages for a thread. */
export class ChunkedSink implements UnpackSink {
  readonly #task: Running<UnpackResult>;
  #buffer: Uint8Array<ArrayBuffer>;
  #filled = 0;
  #over = false;

  constructor(task: Running<UnpackResult>) {
    this.#task = task;
    this.#buffer = new Uint8Array(task.memory());
    const over = (): void => {
      this.#over = true;
    };
    task.outcome.then(over, over);
  }

  async write(chunk: Uint8Array): Promise<void> {
    let rest = chunk;
    while (rest.length > 0) {
      // A job that is over before its bytes has failed, and says why.
      if (this.#over) await this.#task.outcome;
      const take = Math.min(rest.length, MESSAGE_BYTES - this.#filled);
      this.#buffer.set(rest.subarray(0, take), this.#filled);
      this.#filled += take;
      rest = rest.subarray(take);
      if (this.#filled === MESSAGE_BYTES) {
        this.#flush();
        await this.#task.room();
      }
    }
  }

  async finish(): Promise<UnpackResult> {
    this.#flush();
    this.#task.end();
    return this.#task.outcome;
  }

  async abort(): Promise<void> {
    this.#task.cancel();
    await this.#task.outcome.catch(() => undefined);
  }

  #flush(): void {
    if (this.#filled === 0) return;
    // The worker takes the whole buffer over: what was gathered is sent, never copied again.
    this.#task.send(this.#buffer.subarray(0, this.#filled));
    this.#buffer = new Uint8Array(this.#task.memory());
    this.#filled = 0;
  }
}
