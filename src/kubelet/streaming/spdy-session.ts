import type { Readable, Writable } from 'node:stream';
import { SpdyConnection } from './spdy-connection.ts';
import { SpdyError } from './spdy-error.ts';
import type { SpdyStream } from './spdy-stream.ts';
import { parseSize, type SessionEnd, type SessionRequest, type SessionStreams } from './session-streams.ts';
import { sessionStatus } from './session-status.ts';

/** Versions of the protocol over SPDY, best first. Version 1 has no sizes and no status. */
export const SPDY_SESSION_PROTOCOLS = ['v4.channel.k8s.io', 'v3.channel.k8s.io', 'v2.channel.k8s.io'];

/** Longest wait for a client to open the streams that it asked for. Kubernetes' value. */
const STREAMS_TIMEOUT_MS = 30_000;

/** Bytes of sizes that are waited for to make sense: one has some thirty. */
const MAX_SIZE_BYTES = 1024;

/**
 * Waits until a client has opened the streams of its session.
 *
 * @throws SpdyError `PROTOCOL`, when the connection is closed already
 */
export async function spdySession(
  wire: ConstructorParameters<typeof SpdyConnection>[0],
  head: Buffer,
  request: SessionRequest,
  protocol: string,
): Promise<SessionStreams> {
  const wanted = new Set(['error']);
  if (request.stdin) wanted.add('stdin');
  if (request.stdout) wanted.add('stdout');
  if (request.stderr && !request.tty) wanted.add('stderr');
  if (request.tty && protocol !== 'v2.channel.k8s.io') wanted.add('resize');
  const streams = new Map<string, SpdyStream>();
  const all = Promise.withResolvers<void>();
  const connection = new SpdyConnection(wire, {
    server: true,
    head,
    onStream: (stream) => {
      const type = stream.headers.get('streamtype') ?? '';
      if (!wanted.has(type) || streams.has(type)) {
        stream.destroy();
        return;
      }
      streams.set(type, stream);
      if (streams.size === wanted.size) all.resolve();
    },
  });
  const timer = setTimeout(() => connection.close(), STREAMS_TIMEOUT_MS);
  await Promise.race([all.promise, connection.closed]);
  clearTimeout(timer);
  if (streams.size < wanted.size) {
    throw new SpdyError('PROTOCOL', 'Cannot serve session: the client did not open its streams');
  }
  return new SpdySessionStreams(connection, streams, protocol);
}

class SpdySessionStreams implements SessionStreams {
  readonly stdin: Readable | undefined;
  readonly stdout: Writable | undefined;
  readonly stderr: Writable | undefined;
  readonly gone: Promise<void>;
  readonly #connection: SpdyConnection;
  readonly #streams: ReadonlyMap<string, SpdyStream>;
  readonly #protocol: string;

  constructor(connection: SpdyConnection, streams: ReadonlyMap<string, SpdyStream>, protocol: string) {
    this.#connection = connection;
    this.#streams = streams;
    this.#protocol = protocol;
    this.gone = connection.closed;
    this.stdin = streams.get('stdin');
    this.stdout = streams.get('stdout');
    this.stderr = streams.get('stderr');
    // Clients close their direction of these at once, or never: nothing is read from them.
    for (const name of ['stdout', 'stderr', 'error']) streams.get(name)?.resume();
    for (const stream of streams.values()) stream.on('error', () => undefined);
  }

  onResize(resized: (columns: number, rows: number) => void): void {
    let text = '';
    this.#streams.get('resize')?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      for (let end = text.indexOf('}'); end >= 0; end = text.indexOf('}')) {
        const size = sizeIn(text.slice(0, end + 1));
        text = text.slice(end + 1);
        if (size !== undefined) resized(size.columns, size.rows);
      }
      if (text.length > MAX_SIZE_BYTES) text = '';
    });
  }

  async finish(end: SessionEnd): Promise<void> {
    const errors = this.#streams.get('error');
    if (this.#protocol === 'v4.channel.k8s.io') errors?.write(JSON.stringify(sessionStatus(end)));
    else if (end.kind !== 'success') errors?.write(plainText(end));
    for (const stream of [this.#streams.get('stdout'), this.#streams.get('stderr'), errors]) {
      if (stream === undefined || stream.destroyed) continue;
      await new Promise<void>((resolve) => {
        stream.once('close', resolve);
        stream.end(resolve);
      });
    }
    await this.#connection.finish();
  }
}

/** Before version 4 the end was told as text. */
function plainText(end: Exclude<SessionEnd, { kind: 'success' }>): string {
  if (end.kind === 'error') return end.message;
  return `error executing remote command: command terminated with non-zero exit code: ${end.code}`;
}

function sizeIn(text: string): ReturnType<typeof parseSize> {
  try {
    return parseSize(JSON.parse(text));
  } catch {
    return undefined;
  }
}
