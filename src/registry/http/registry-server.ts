import type { AddressInfo, Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { RequestServer } from './request-server.ts';

/** Methods that any route may see; each answers 405 where it means nothing. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];
/** Longest silence of a client before its connection is closed; a slow client sends something within it. */
const SILENCE_MS = 120_000;
/** Longest time for request headers: real clients send them at once. */
const HEADERS_MS = 30_000;

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
  server: RequestServer,
  listen: { host: string; port: number; tls?: TlsPair },
): Promise<ListeningServer> {
  const app = makeApp(server, listen.tls);
  await app.listen({ host: listen.host, port: listen.port });
  const { port, family, address } = app.server.address() as AddressInfo;
  const host = family === 'IPv6' ? `[${address}]` : address;
  return {
    url: `${listen.tls === undefined ? 'http' : 'https'}://${host}:${port}`,
    port,
    replaceTls: (pair) => {
      const serving: unknown = app.server;
      if (serving instanceof TlsServer) serving.setSecureContext({ ...pair, minVersion: 'TLSv1.2' });
    },
    close: async (graceMs) => {
      const cut = setTimeout(() => app.server.closeAllConnections(), graceMs);
      // A connection whose request ends while we close would stay for the next one.
      const sweep = setInterval(() => app.server.closeIdleConnections(), IDLE_LOOK_MS);
      await app.close();
      clearInterval(sweep);
      clearTimeout(cut);
      await server.idle();
    },
  };
}

/** Answers what is not HTTP, before there is a request. */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
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

function makeApp(server: RequestServer, tls: TlsPair | undefined): FastifyInstance {
  const serveRaw = (request: FastifyRequest, reply: FastifyReply): void => {
    reply.hijack();
    server.serve(request.raw, reply.raw, request.ip);
  };
  const base = {
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle' as const,
    // An upload may take hours; silence is what ends it.
    requestTimeout: 0,
    clientErrorHandler: answerClientError,
    // What Fastify's router cannot read, such as bad percent-encoding, is answered by our own parser.
    frameworkErrors: (_error: unknown, request: FastifyRequest, reply: FastifyReply) =>
      serveRaw(request, reply),
  };
  const app = (
    tls === undefined ? fastify(base) : fastify({ ...base, https: { ...tls, minVersion: 'TLSv1.2' } })
  ) as FastifyInstance;
  app.server.headersTimeout = HEADERS_MS;
  app.server.timeout = SILENCE_MS;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.route({ method: METHODS, url: '/*', handler: serveRaw });
  app.setNotFoundHandler(serveRaw);
  return app;
}
