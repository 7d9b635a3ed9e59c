import { Duplex } from 'node:stream';
import { settle } from './settle.ts';
import type { SpdyHeaders } from './spdy-headers.ts';

/** Bytes of one frame of data: small enough that other streams get their turn. */
const FRAME_BYTES = 32 * 1024;

/** How a stream reaches its connection. */
export interface SpdySender {
  data(stream: number, payload: Buffer, fin: boolean): Promise<void>;
  reset(stream: number): void;
}

/** One of the streams that share a connection. Ending it ends its own direction only; destroying it ends both. */
export class SpdyStream extends Duplex {
  readonly id: number;
  readonly headers: SpdyHeaders;
  readonly #sender: SpdySender;
  #drained: (() => void) | undefined;
  #cut = false;
  #finished = { here: false, there: false };

  constructor(id: number, headers: SpdyHeaders, sender: SpdySender) {
    super({ allowHalfOpen: true });
    this.id = id;
    this.headers = headers;
    this.#sender = sender;
  }

  /** Takes what has arrived; resolves when there is room for more. */
  async receive(payload: Buffer, fin: boolean): Promise<void> {
    if (this.destroyed || this.#finished.there) return;
    const room = payload.length === 0 || this.push(payload);
    if (fin) {
      this.#finished.there = true;
      this.push(null);
    } else if (!room) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
  }

  /** The connection is over, or the other end wants no more of this stream: what has arrived can still be read. */
  cut(): void {
    this.#cut = true;
    this.#drained?.();
    this.#drained = undefined;
    if (!this.#finished.there && !this.destroyed) this.push(null);
    this.#finished = { here: true, there: true };
    if (!this.writableEnded) this.end();
  }

  override _read(): void {
    this.#drained?.();
    this.#drained = undefined;
  }

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    if (this.#cut) callback();
    else void settle(this.#send(chunk), callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#finished.here = true;
    if (this.#cut) callback();
    else void settle(this.#sender.data(this.id, Buffer.alloc(0), true), callback);
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#drained?.();
    this.#drained = undefined;
    if (!this.#finished.here || !this.#finished.there) this.#sender.reset(this.id);
    callback(error);
  }

  async #send(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length; at += FRAME_BYTES) {
      await this.#sender.data(this.id, chunk.subarray(at, at + FRAME_BYTES), false);
    }
  }
}
