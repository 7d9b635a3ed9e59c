import { PassThrough, Writable, type Readable } from 'node:stream';
import type { WebSocket } from 'ws';
import { parseSize, type SessionEnd, type SessionRequest, type SessionStreams } from './session-streams.ts';
import { relayedStatus, sessionStatus } from './session-status.ts';
import { settle } from './settle.ts';

/** Versions of the protocol over WebSockets, best first. Version 5 can tell that input has ended. */
export const WEBSOCKET_SESSION_PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];

/** First byte of each message. */
const CHANNEL = { STDIN: 0, STDOUT: 1, STDERR: 2, ERROR: 3, RESIZE: 4, CLOSE: 255 } as const;

/** Bytes of output on the way to a slow client before the process has to wait. */
const HIGH_WATER_BYTES = 1024 * 1024;

/** Carries a session over a WebSocket. */
export function websocketSession(socket: WebSocket, request: SessionRequest): SessionStreams {
  return new WebSocketStreams(socket, request);
}

class WebSocketStreams implements SessionStreams {
  readonly stdin: Readable | undefined;
  readonly stdout: Writable | undefined;
  readonly stderr: Writable | undefined;
  readonly gone: Promise<void>;
  readonly #socket: WebSocket;
  #resized: ((columns: number, rows: number) => void) | undefined;
  #size: ReturnType<typeof parseSize>;

  constructor(socket: WebSocket, request: SessionRequest) {
    this.#socket = socket;
    const input = request.stdin ? new PassThrough() : undefined;
    this.stdin = input;
    this.stdout = request.stdout ? output(socket, CHANNEL.STDOUT) : undefined;
    this.stderr = request.stderr && !request.tty ? output(socket, CHANNEL.STDERR) : undefined;
    this.gone = new Promise((resolve) => {
      socket.once('close', () => {
        input?.destroy();
        resolve();
      });
    });
    socket.on('error', () => socket.terminate());
    socket.on('message', (data) => {
      const bytes = asBuffer(data);
      const channel = bytes[0];
      if (channel === CHANNEL.STDIN) this.#input(input, bytes.subarray(1));
      else if (channel === CHANNEL.RESIZE) this.#resize(bytes.subarray(1));
      else if (channel === CHANNEL.CLOSE && bytes[1] === CHANNEL.STDIN) input?.end();
    });
    // Tells the client that somebody is there, also when nothing will be said for long.
    const first = request.stdout ? CHANNEL.STDOUT : request.stderr ? CHANNEL.STDERR : CHANNEL.ERROR;
    socket.send(Buffer.from([first]));
  }

  onResize(resized: (columns: number, rows: number) => void): void {
    this.#resized = resized;
    if (this.#size !== undefined) resized(this.#size.columns, this.#size.rows);
  }

  async finish(end: SessionEnd): Promise<void> {
    const status = this.#socket.protocol === 'v5.channel.k8s.io' ? relayedStatus(end) : sessionStatus(end);
    await sent(this.#socket, CHANNEL.ERROR, Buffer.from(JSON.stringify(status)));
    this.#socket.close(1000);
    await this.gone;
  }

  #input(input: PassThrough | undefined, bytes: Buffer): void {
    if (input === undefined || input.writableEnded || input.destroyed) return;
    if (input.write(bytes)) return;
    this.#socket.pause();
    input.once('drain', () => this.#socket.resume());
    input.once('close', () => this.#socket.resume());
  }

  #resize(bytes: Buffer): void {
    try {
      this.#size = parseSize(JSON.parse(bytes.toString())) ?? this.#size;
    } catch {
      return;
    }
    if (this.#size !== undefined) this.#resized?.(this.#size.columns, this.#size.rows);
  }
}

function output(socket: WebSocket, channel: number): Writable {
  return new Writable({
    highWaterMark: HIGH_WATER_BYTES,
    write(chunk: Buffer, _encoding, callback) {
      void settle(sent(socket, channel, chunk), callback);
    },
  });
}

/** Resolves when the message is on its way, or when nobody is there any more to get it. */
async function sent(socket: WebSocket, channel: number, bytes: Buffer): Promise<void> {
  if (socket.readyState !== socket.OPEN) return;
  await new Promise<void>((resolve) => {
    socket.send(Buffer.concat([Buffer.from([channel]), bytes]), () => resolve());
  });
}

export function asBuffer(data: Buffer | ArrayBuffer | Buffer[]): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
}
