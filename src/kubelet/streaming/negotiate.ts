import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';

/** What a client is spoken to in, and the version of it that both know. */
export type Transport =
  | { readonly kind: 'websocket'; readonly protocol: string }
  | { readonly kind: 'spdy'; readonly protocol: string };

/** Why a client cannot be served: an HTTP answer. */
export interface Refusal {
  readonly status: number;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Bytes of one message that are taken: clients send some ten kilobytes at once. */
const MAX_MESSAGE_BYTES = 2 * 1024 * 1024;

/** Finds the best protocol that a client offers and that is `known`, best first. */
export function negotiate(
  request: IncomingMessage,
  known: { readonly websocket: readonly string[]; readonly spdy: readonly string[] },
): Transport | Refusal {
  const upgrade = (request.headers.upgrade ?? '').toLowerCase();
  if (upgrade === 'websocket') {
    const offered = listOf(request.headers['sec-websocket-protocol']);
    const protocol = known.websocket.find((name) => offered.includes(name));
    if (protocol !== undefined) return { kind: 'websocket', protocol };
    return {
      status: 400,
      message: `unable to upgrade: the client offers ${said(offered)}, supported are ${said(known.websocket)}`,
    };
  }
  if (upgrade !== 'spdy/3.1') {
    return { status: 400, message: 'unable to upgrade: missing upgrade headers in request' };
  }
  const offered = listOf(request.headers['x-stream-protocol-version']);
  const protocol = known.spdy.find((name) => offered.includes(name));
  if (protocol !== undefined) return { kind: 'spdy', protocol };
  return {
    status: 403,
    message: `unable to upgrade: unable to negotiate protocol: client supports ${said(offered)}, server accepts ${said(known.spdy)}`,
    headers: { 'X-Accepted-Stream-Protocol-Versions': known.spdy.join(', ') },
  };
}

/** Answers a WebSocket's handshake. */
export async function acceptWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  protocol: string,
): Promise<WebSocket> {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    handleProtocols: () => protocol,
  });
  return await new Promise((resolve, reject) => {
    socket.once('close', () => reject(new Error('the client went away')));
    server.handleUpgrade(request, socket, head, resolve);
  });
}

/** Answers the request to speak SPDY from now on. */
export function acceptSpdy(socket: Duplex, protocol: string): void {
  socket.write(
    [
      'HTTP/1.1 101 Switching Protocols',
      'Connection: Upgrade',
      'Upgrade: SPDY/3.1',
      `X-Stream-Protocol-Version: ${protocol}`,
      '',
      '',
    ].join('\r\n'),
  );
}

/** Answers a request for a session with a plain HTTP answer, and closes the connection. */
export function refuseUpgrade(socket: Duplex, { status, message, headers = {} }: Refusal): void {
  const body = Buffer.from(`${message}\n`);
  const lines = [
    `HTTP/1.1 ${status} ${REASONS[status] ?? 'Error'}`,
    'Connection: close',
    'Content-Type: text/plain; charset=utf-8',
    'X-Content-Type-Options: nosniff',
    `Content-Length: ${body.length}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    '',
    '',
  ];
  socket.on('error', () => undefined);
  socket.end(Buffer.concat([Buffer.from(lines.join('\r\n')), body]));
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  500: 'Internal Server Error',
};

function listOf(header: string | string[] | undefined): string[] {
  return [header ?? []]
    .flat()
    .flatMap((line) => line.split(','))
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

function said(names: readonly string[]): string {
  return `[${names.join(' ')}]`;
}
