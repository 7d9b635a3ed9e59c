import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { SpdyError } from './spdy-error.ts';
import {
  controlFrame,
  dataFrame,
  FLAG_FIN,
  FRAME,
  HEAD_BYTES,
  parseFrame,
  payloadLength,
  streamOf,
  words,
  type Frame,
} from './spdy-frames.ts';
import { HeaderPacker, HeaderUnpacker, type SpdyHeaders } from './spdy-headers.ts';
import { SpdyStream, type SpdySender } from './spdy-stream.ts';

/** Largest frame that is taken: clients send some ten kilobytes at once. */
const MAX_FRAME_BYTES = 2 * 1024 * 1024;

/** Streams of one connection at one time: a port-forward has two for each forwarded connection. */
const MAX_STREAMS = 2000;

/** How long the other end may take to close a connection that was ended here, in milliseconds. */
const LINGER_MS = 2_000;

/** Reasons in RST_STREAM. @see section 2.6.3 */
const REFUSED_STREAM = 3;
const CANCEL = 5;

/**
 * Carries many streams over one connection, as Kubernetes' clients do: without flow control, which none of them has. A stream that nobody
 * reads holds up the others.
 */
export class SpdyConnection implements SpdySender {
  readonly #wire: Duplex;
  readonly #packer = new HeaderPacker();
  readonly #unpacker = new HeaderUnpacker();
  readonly #streams = new Map<number, SpdyStream>();
  readonly #replies = new Map<number, PromiseWithResolvers<void>>();
  readonly #onStream: (stream: SpdyStream) => void;
  readonly #closed = Promise.withResolvers<void>();
  readonly #server: boolean;
  #next: number;
  #sending: Promise<void> = Promise.resolve();
  #ended = false;
  /** Nothing that still comes is of interest. */
  #finishing = false;

  /**
   * @param options.onStream is given each stream that the other end opens
   * @param options.head what was read of the connection already
   */
  constructor(
    wire: Duplex,
    options: { server: boolean; head?: Buffer; onStream: (stream: SpdyStream) => void },
  ) {
    this.#wire = wire;
    this.#onStream = options.onStream;
    this.#server = options.server;
    this.#next = options.server ? 2 : 1;
    wire.on('error', () => this.close());
    wire.once('close', () => this.close());
    void this.#receive(options.head ?? Buffer.alloc(0));
  }

  /** Resolves when the connection is closed, by whomever. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /**
   * Opens a stream and waits until the other end has taken it.
   *
   * @throws SpdyError `REFUSED`, `CLOSED`
   */
  async open(headers: SpdyHeaders): Promise<SpdyStream> {
    if (this.#ended) throw closedError();
    const id = this.#next;
    this.#next += 2;
    const stream = new SpdyStream(id, headers, this);
    const reply = Promise.withResolvers<void>();
    this.#streams.set(id, stream);
    this.#replies.set(id, reply);
    await this.#send(async () => {
      const block = await this.#packer.pack(headers);
      return controlFrame(FRAME.SYN_STREAM, 0, Buffer.concat([words(id, 0), Buffer.alloc(2), block]));
    });
    await reply.promise;
    return stream;
  }

  async data(stream: number, payload: Buffer, fin: boolean): Promise<void> {
    await this.#send(() => Promise.resolve(dataFrame(stream, payload, fin)));
  }

  reset(stream: number): void {
    this.#streams.delete(stream);
    if (this.#ended) return;
    void this.#send(() => Promise.resolve(controlFrame(FRAME.RST_STREAM, 0, words(stream, CANCEL)))).catch(
      () => undefined,
    );
  }

  /**
   * Sends what is under way, then ends the connection once the other end has closed it too, or has had time to: a connection that is
   * closed while something lies in it unread is reset, and what was sent last, which tells how the session ended, would be lost.
   */
  async finish(): Promise<void> {
    await this.#sending.catch(() => undefined);
    if (this.#ended) return;
    this.#finishing = true;
    for (const stream of this.#streams.values()) stream.cut();
    this.#wire.end();
    const late = setTimeout(() => this.close(), LINGER_MS);
    await this.closed;
    clearTimeout(late);
  }

  /** Ends the connection and all its streams. */
  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const reply of this.#replies.values()) {
      reply.promise.catch(() => undefined);
      reply.reject(closedError());
    }
    for (const stream of this.#streams.values()) stream.cut();
    this.#streams.clear();
    this.#packer.close();
    this.#unpacker.close();
    this.#wire.destroy();
    this.#closed.resolve();
  }

  /** One frame after the other: blocks of headers depend on their order. */
  #send(frame: () => Promise<Buffer>): Promise<void> {
    const sent = this.#sending
      .catch(() => undefined)
      .then(async () => {
        if (this.#ended) throw closedError();
        if (!this.#wire.write(await frame())) await Promise.race([once(this.#wire, 'drain'), this.closed]);
      });
    this.#sending = sent;
    sent.catch(() => undefined);
    return sent;
  }

  async #receive(head: Buffer): Promise<void> {
    let rest = head;
    try {
      for await (const chunk of this.#wire) {
        if (this.#finishing) continue;
        rest = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
        while (rest.length >= HEAD_BYTES) {
          const length = payloadLength(rest);
          if (length > MAX_FRAME_BYTES) throw new SpdyError('PROTOCOL', 'Cannot read SPDY frame: too large');
          if (rest.length < HEAD_BYTES + length) break;
          const frame = parseFrame(rest.subarray(0, HEAD_BYTES + length));
          rest = rest.subarray(HEAD_BYTES + length);
          if (frame === undefined) throw new SpdyError('PROTOCOL', 'Cannot read SPDY frame: not version 3');
          await this.#take(frame);
        }
      }
    } catch {
      // Whatever the other end did wrong, or that it went away: the connection is over, and its streams tell it.
    }
    this.close();
  }

  async #take(frame: Frame): Promise<void> {
    if (frame.kind === 'data') {
      const stream = this.#streams.get(frame.stream);
      await stream?.receive(frame.payload, frame.fin);
      return;
    }
    const { type, flags, payload } = frame;
    const id = streamOf(payload);
    if (type === FRAME.SYN_STREAM) await this.#opened(id, flags, payload);
    else if (type === FRAME.SYN_REPLY) {
      await this.#unpacker.unpack(payload.subarray(4));
      this.#replies.get(id)?.resolve();
      this.#replies.delete(id);
      if ((flags & FLAG_FIN) !== 0) await this.#streams.get(id)?.receive(Buffer.alloc(0), true);
    } else if (type === FRAME.HEADERS) await this.#unpacker.unpack(payload.subarray(4));
    else if (type === FRAME.RST_STREAM) this.#wasReset(id);
    else if (type === FRAME.PING) await this.#pong(payload);
    else if (type === FRAME.GOAWAY && this.#server && this.#streams.size === 0) this.close();
  }

  async #opened(id: number, flags: number, payload: Buffer): Promise<void> {
    const headers = await this.#unpacker.unpack(payload.subarray(10));
    const foreign = id % 2 === (this.#server ? 1 : 0);
    if (!foreign || this.#streams.has(id) || this.#streams.size >= MAX_STREAMS) {
      await this.#send(() => Promise.resolve(controlFrame(FRAME.RST_STREAM, 0, words(id, REFUSED_STREAM))));
      return;
    }
    const stream = new SpdyStream(id, headers, this);
    this.#streams.set(id, stream);
    stream.once('close', () => this.#streams.delete(id));
    // Clients wait for this answer before they send anything.
    await this.#send(async () =>
      controlFrame(FRAME.SYN_REPLY, 0, Buffer.concat([words(id), await this.#packer.pack(new Map())])),
    );
    this.#onStream(stream);
    if ((flags & FLAG_FIN) !== 0) await stream.receive(Buffer.alloc(0), true);
  }

  #wasReset(id: number): void {
    const reply = this.#replies.get(id);
    this.#replies.delete(id);
    reply?.promise.catch(() => undefined);
    reply?.reject(new SpdyError('REFUSED', 'Cannot open SPDY stream: the other end refused it'));
    const stream = this.#streams.get(id);
    this.#streams.delete(id);
    stream?.cut();
  }

  /** Numbers of pings tell who asked: those of the other end are answered with themselves. */
  async #pong(payload: Buffer): Promise<void> {
    const number = payload.length < 4 ? 0 : payload.readUInt32BE(0);
    if (number % 2 !== (this.#server ? 1 : 0)) return;
    await this.#send(() => Promise.resolve(controlFrame(FRAME.PING, 0, payload)));
  }
}

function closedError(): SpdyError {
  return new SpdyError('CLOSED', 'Cannot use SPDY stream: the connection is closed');
}
