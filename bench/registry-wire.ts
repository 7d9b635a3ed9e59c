import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Bytes read at a time: large, so that the one who measures costs less than the one who is measured. */
const READ_BYTES = 512 * 1024;
const END_OF_HEAD = Buffer.from('\r\n\r\n');

export interface WireAnswer {
  readonly status: number;
  readonly head: string;
  /** Bytes of the body. */
  readonly bytes: number;
}

/** Sees the body as it comes; the bytes are overwritten by the next ones. */
export type BodyReader = (chunk: Buffer, offset: number) => void;

interface Waiting {
  readonly resolve: (answer: WireAnswer) => void;
  readonly reject: (error: Error) => void;
  readonly onBody: BodyReader | undefined;
  readonly onHead: (() => Promise<void>) | undefined;
  readonly bodiless: boolean;
}

/**
 * One kept connection that speaks just enough HTTP/1.1 to measure a registry: one request at a time, answers with a
 * length. A client library would be slower than what it measures.
 */
export class Wire {
  readonly #socket: Socket;
  #waiting: Waiting | undefined;
  #head = Buffer.alloc(0);
  #answer: { status: number; head: string; length: number } | undefined;
  #bytes = 0;

  private constructor(host: string, port: number, readBytes: number) {
    const buffer = Buffer.allocUnsafeSlow(readBytes);
    this.#socket = connect({
      host,
      port,
      noDelay: true,
      onread: {
        buffer,
        callback: (length) => {
          this.#take(buffer.subarray(0, length));
          return true;
        },
      },
    });
    this.#socket.on('close', () => this.#fail(new Error('Cannot measure: the connection was closed')));
    this.#socket.on('error', (error) => this.#fail(error));
  }

  static async open(address: string, readBytes = READ_BYTES): Promise<Wire> {
    const [host = '', port = ''] = address.split(':');
    const wire = new Wire(host, Number(port), readBytes);
    await once(wire.#socket, 'connect');
    return wire;
  }

  close(): void {
    this.#socket.destroy();
  }

  /**
   * Sends a request and resolves with its answer.
   *
   * @param options.onHead keeps the body waiting in the kernel until it resolves
   */
  send(
    head: Buffer,
    options: { body?: Uint8Array; onBody?: BodyReader; onHead?: () => Promise<void> } = {},
  ): Promise<WireAnswer> {
    return new Promise((resolve, reject) => {
      const bodiless = head.toString('latin1', 0, 5) === 'HEAD ';
      this.#waiting = { resolve, reject, onBody: options.onBody, onHead: options.onHead, bodiless };
      if (options.body === undefined) this.#socket.write(head);
      else {
        this.#socket.cork();
        this.#socket.write(head);
        this.#socket.write(options.body);
        this.#socket.uncork();
      }
    });
  }

  #take(chunk: Buffer): void {
    if (this.#answer !== undefined) return this.#takeBody(this.#answer.length, chunk);
    const all = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
    const end = all.indexOf(END_OF_HEAD);
    if (end < 0) {
      this.#head = Buffer.from(all);
      return;
    }
    this.#head = Buffer.alloc(0);
    const head = all.toString('latin1', 0, end);
    const status = Number(head.slice(9, 12));
    if (status === 100) return this.#take(all.subarray(end + 4));
    const length =
      this.#waiting?.bodiless === true ? 0 : Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    this.#answer = { status, head, length };
    this.#bytes = 0;
    const body = all.subarray(end + 4);
    const hold = this.#waiting?.onHead;
    if (hold === undefined) return this.#takeBody(length, body);
    const held = Buffer.from(body);
    this.#socket.pause();
    void hold().then(() => {
      this.#takeBody(length, held);
      this.#socket.resume();
    });
  }

  #takeBody(length: number, chunk: Buffer): void {
    if (chunk.length > 0) this.#waiting?.onBody?.(chunk, this.#bytes);
    this.#bytes += chunk.length;
    if (this.#bytes < length || this.#answer === undefined) return;
    const { status, head } = this.#answer;
    const waiting = this.#waiting;
    this.#answer = undefined;
    this.#waiting = undefined;
    waiting?.resolve({ status, head, bytes: this.#bytes });
  }

  #fail(error: Error): void {
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}

/** Makes the head of a request. */
export function requestHead(
  method: string,
  address: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Buffer {
  const lines = Object.entries({ Host: address, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
}

/** Returns a header of an answer. @throws when it lacks it */
export function headerOf(answer: WireAnswer, name: string): string {
  const value = new RegExp(`^${name}: *(.*)$`, 'im').exec(answer.head)?.[1];
  if (value === undefined) throw new Error(`Cannot measure: the answer ${answer.status} has no ${name}`);
  return value.trim();
}

/** @throws when the status is another */
export function expectStatus(answer: WireAnswer, status: number, doing: string): WireAnswer {
  if (answer.status === status) return answer;
  throw new Error(`Cannot measure: ${doing} was answered ${answer.status}\n${answer.head}`);
}
