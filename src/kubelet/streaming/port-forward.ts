import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { messageOf } from '../../base/coded-error.ts';
import { SpdyConnection } from './spdy-connection.ts';
import type { SpdyStream } from './spdy-stream.ts';

/** The only version of the protocol there is. */
export const PORT_FORWARD_PROTOCOL = 'portforward.k8s.io';

/** The same, inside a WebSocket. */
export const PORT_FORWARD_TUNNEL_PROTOCOL = `SPDY/3.1+${PORT_FORWARD_PROTOCOL}`;

/** Longest wait for the second stream of a pair. Kubernetes' value. */
const PAIR_TIMEOUT_MS = 30_000;

export interface PortForwardTarget {
  /** Address at which the Pod's ports are. */
  readonly address: string;
  /** `NAME_NAMESPACE` and UID for messages. */
  readonly pod: string;
}

interface Pair {
  data?: SpdyStream;
  error?: SpdyStream;
  timer: NodeJS.Timeout;
}

/** Forwards connections to ports of a Pod until the client goes away. Each has two streams: its bytes, and what went wrong. */
export async function servePortForward(wire: Duplex, head: Buffer, target: PortForwardTarget): Promise<void> {
  const pairs = new Map<string, Pair>();
  const connection = new SpdyConnection(wire, { server: true, head, onStream: take });
  await connection.closed;
  for (const { timer } of pairs.values()) clearTimeout(timer);

  function take(stream: SpdyStream): void {
    stream.on('error', () => undefined);
    const type = stream.headers.get('streamtype');
    const port = Number(stream.headers.get('port'));
    if ((type !== 'data' && type !== 'error') || !Number.isInteger(port) || port < 1 || port > 65_535) {
      stream.destroy();
      return;
    }
    const id = stream.headers.get('requestid') ?? String(stream.id - (type === 'data' ? 2 : 0));
    const pair: Pair = pairs.get(id) ?? { timer: setTimeout(() => giveUp(id), PAIR_TIMEOUT_MS) };
    pairs.set(id, pair);
    pair[type] = stream;
    if (pair.data === undefined || pair.error === undefined) return;
    clearTimeout(pair.timer);
    pairs.delete(id);
    void forwardOne(pair.data, pair.error, port, target);
  }

  function giveUp(id: string): void {
    const pair = pairs.get(id);
    pairs.delete(id);
    pair?.data?.destroy();
    pair?.error?.destroy();
  }
}

async function forwardOne(
  data: SpdyStream,
  errors: SpdyStream,
  port: number,
  target: PortForwardTarget,
): Promise<void> {
  errors.resume();
  const failure = await joined(data, target.address, port);
  if (failure === undefined) errors.end();
  else {
    const where = `error forwarding port ${port} to pod ${target.pod}`;
    errors.end(`${where}: failed to connect to ${target.address}:${port} inside the pod: ${failure}`);
  }
  // What the client still sends has no reader any more.
  data.resume();
  if (!data.writableEnded) data.end();
}

/** Joins a stream with a port; resolves when both directions have ended, with the reason if it could not be done. */
async function joined(data: SpdyStream, address: string, port: number): Promise<string | undefined> {
  const socket = connect({ host: address, port, allowHalfOpen: true });
  return await new Promise((resolve) => {
    let connected = false;
    const done = (failure?: string): void => {
      socket.destroy();
      resolve(failure);
    };
    socket.once('connect', () => {
      connected = true;
      data.pipe(socket);
      socket.pipe(data);
    });
    socket.once('error', (error) => done(connected ? undefined : dialError(error, address, port)));
    socket.once('close', () => done());
    data.once('close', () => done());
  });
}

function dialError(error: Error, address: string, port: number): string {
  const code = 'code' in error ? error.code : '';
  const why = code === 'ECONNREFUSED' ? 'connect: connection refused' : messageOf(error);
  return `dial tcp ${address}:${port}: ${why}`;
}
