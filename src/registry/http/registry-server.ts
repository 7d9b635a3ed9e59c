import { once } from 'node:events';
import type { RequestListener, Server } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { AddressInfo, BlockList } from 'node:net';
import type { Duplex } from 'node:stream';
import { clientAddress, isTrustedProxy } from './client-address.ts';
import type { RequestServer } from './request-server.ts';

/** Longest silence of a client before its connection is closed; a slow client sends something within it. */
const SILENCE_MS = 120_000;
/** Longest time for request headers: real clients send them at once. */
const HEADERS_MS = 30_000;
/** How long a connection is kept for the next request: longer than proxies keep theirs, so that they close it, not we. */
const KEEP_ALIVE_MS = 72_000;
/** How often connections that have become idle are closed while the registry closes. */
const IDLE_LOOK_MS = 100;

/** PEM of a certificate with its chain, and of its key. */
export interface TlsPair {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
}

export interface ListeningServer {
  readonly url: string;
  readonly port: number;
  /** Serves new connections with another certificate. @throws Error when the pair does not fit */
  replaceTls(pair: TlsPair): void;
  /** Lets requests under way end, then closes; after `graceMs` they are cut. */
  close(graceMs: number): Promise<void>;
}

/** Starts to serve. Bodies reach the request server as raw streams; nothing is parsed or kept on the way. */
export async function listenRegistry(
  requests: RequestServer,
  listen: { host: string; port: number; tls?: TlsPair; proxies: BlockList },
): Promise<ListeningServer> {
  let closing = false;
  const server = makeServer((message, response) => {
    // Whoever comes again has to find another server, or this one after it was started anew.
    if (closing) response.setHeader('Connection', 'close');
    const connection = message.socket.remoteAddress ?? '';
    // Read later to tell clients where tokens are had: over TLS, when that ends at a proxy in front.
    if (!isTrustedProxy(connection, listen.proxies)) delete message.headers['x-forwarded-proto'];
    const address = clientAddress(connection, message.headers['x-forwarded-for'], listen.proxies);
    requests.serve(message, response, address);
  }, listen.tls);
  server.listen({ host: listen.host, port: listen.port });
  await once(server, 'listening');
  const { port, family, address } = server.address() as AddressInfo;
  const host = family === 'IPv6' ? `[${address}]` : address;
  return {
    url: `${listen.tls === undefined ? 'http' : 'https'}://${host}:${port}`,
    port,
    replaceTls: (pair) => {
      if ('setSecureContext' in server) {
        (server as HttpsServer).setSecureContext({ ...pair, minVersion: 'TLSv1.2' });
      }
    },
    close: async (graceMs) => {
      closing = true;
      const closed = once(server, 'close');
      server.close();
      const cut = setTimeout(() => server.closeAllConnections(), graceMs);
      // A connection whose request ends while we close would stay for the next one.
      const sweep = setInterval(() => server.closeIdleConnections(), IDLE_LOOK_MS);
      await closed;
      clearInterval(sweep);
      clearTimeout(cut);
      await requests.idle();
    },
  };
}

/** Answers what is not HTTP, before there is a request. */
function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = CLIENT_ERRORS[error.code ?? ''] ?? '400 Bad Request';
  const body = JSON.stringify({
    errors: [{ code: 'UNSUPPORTED', message: `request cannot be read: ${status}` }],
  });
  const headers = `Connection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`;
  socket.end(`HTTP/1.1 ${status}\r\n${headers}\r\n\r\n${body}`);
}

const CLIENT_ERRORS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/** Makes the server that speaks HTTP; bodies are left to whoever serves the request. */
function makeServer(serve: RequestListener, tls: TlsPair | undefined): Server {
  const options = {
    // An upload may take hours; silence is what ends it.
    requestTimeout: 0,
    headersTimeout: HEADERS_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
  };
  // Not imported: an import of all that these modules offer would load a whole HTTP client, 12 MB that serve nothing here.
  const server: Server =
    tls === undefined
      ? process.getBuiltinModule('node:http').createServer(options, serve)
      : process
          .getBuiltinModule('node:https')
          .createServer({ ...options, ...tls, minVersion: 'TLSv1.2' }, serve);
  server.timeout = SILENCE_MS;
  server.on('clientError', answerClientError);
  return server;
}
