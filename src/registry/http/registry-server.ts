import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { AccessTokens } from '../identity/access-token.ts';
import type { Login } from '../identity/login.ts';
import type { TokenService } from '../identity/token-service.ts';
import { RegistryError, registryErrorFrom } from '../registry-error.ts';
import { emptyAnswer, errorAnswer, sendAnswer, type Answer } from './answer.ts';
import { identifyCaller, type Caller } from './caller.ts';
import { dispatch } from './dispatch.ts';
import type { Service } from './exchange.ts';
import { answerTokenRequest } from './token-endpoint.ts';
import { challengeOf, guard, needsOf, type ChallengeParts } from './guard.ts';
import { parseRequestTarget, type RegistryRequest } from './request-target.ts';
import { ANONYMOUS } from '../identity/identity.ts';

/** Methods that any route may see; each answers 405 where it means nothing. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];
/** Longest silence of a client before its connection is closed; a slow client sends something within it. */
const SILENCE_MS = 120_000;
/** Longest time for request headers: real clients send them at once. */
const HEADERS_MS = 30_000;

export interface RegistryServerParts {
  readonly service: Service;
  /** Absent: everybody may do everything. */
  readonly identity?: {
    readonly login: Login;
    readonly tokens: AccessTokens;
    readonly tokenService: TokenService;
  };
  /** Name of the registry in tokens and challenges. */
  readonly serviceName: string;
  /** URL under which clients reach the registry, when that is not the host they name. */
  readonly publicUrl?: string;
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer };
}

export interface ListeningServer {
  readonly url: string;
  readonly port: number;
  /** Lets requests under way end, then closes; after `graceMs` they are cut. */
  close(graceMs: number): Promise<void>;
}

/** Starts to serve. Bodies reach handlers as raw streams; nothing is parsed or kept on the way. */
export async function listenRegistry(
  parts: RegistryServerParts,
  listen: { host: string; port: number },
): Promise<ListeningServer> {
  const app = await makeApp(parts);
  await app.listen(listen);
  const { port, family, address } = app.server.address() as AddressInfo;
  const host = family === 'IPv6' ? `[${address}]` : address;
  return {
    url: `${parts.tls === undefined ? 'http' : 'https'}://${host}:${port}`,
    port,
    close: async (graceMs) => {
      const cut = setTimeout(() => app.server.closeAllConnections(), graceMs);
      app.server.closeIdleConnections();
      await app.close();
      clearTimeout(cut);
    },
  };
}

async function makeApp(parts: RegistryServerParts): Promise<FastifyInstance> {
  const serveRaw = (request: FastifyRequest, reply: FastifyReply): void => {
    reply.hijack();
    void serve(parts, request.raw, reply.raw, request.ip);
  };
  const base = {
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle' as const,
    // An upload may take hours; silence is what ends it.
    requestTimeout: 0,
    // What Fastify's router cannot read, such as bad percent-encoding, is answered by our own parser.
    frameworkErrors: (_error: unknown, request: FastifyRequest, reply: FastifyReply) =>
      serveRaw(request, reply),
  };
  const app = (
    parts.tls === undefined
      ? fastify(base)
      : fastify({ ...base, https: { ...parts.tls, minVersion: 'TLSv1.2' } })
  ) as FastifyInstance;
  app.server.headersTimeout = HEADERS_MS;
  app.server.timeout = SILENCE_MS;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.route({ method: METHODS, url: '/*', handler: serveRaw });
  app.setNotFoundHandler(serveRaw);
  await app.ready();
  return app;
}

/** Answers one request; never throws. */
async function serve(
  parts: RegistryServerParts,
  message: IncomingMessage,
  response: ServerResponse,
  address: string,
): Promise<void> {
  const { logger } = parts.service;
  try {
    const answer = await answerTo(parts, message, address).catch((error: unknown) => {
      const { status, cause } = registryErrorFrom(error);
      if (status === 500 && !message.destroyed) {
        logger.error(
          { err: cause, method: message.method, target: pathOf(message) },
          'cannot answer a request',
        );
      }
      return errorAnswer(error);
    });
    if (response.destroyed) return;
    await sendAnswer(response, answer, message.method === 'HEAD');
  } catch (error) {
    // The connection broke under the answer: there is nobody left to tell.
    logger.debug({ err: error, target: pathOf(message) }, 'answer was cut off');
    response.destroy();
  }
}

async function answerTo(
  parts: RegistryServerParts,
  message: IncomingMessage,
  address: string,
): Promise<Answer> {
  const target = message.url ?? '/';
  const path = pathOf(message);
  if (path === '/v2' || path.startsWith('/v2/')) return answerRegistry(parts, message, target, address);
  if (path === '/token' && parts.identity !== undefined) {
    if (message.method !== 'GET' && message.method !== 'POST')
      return emptyAnswer(405, { Allow: 'GET, POST' });
    const query = new URLSearchParams(target.slice(path.length + 1));
    return answerTokenRequest(parts.identity.tokenService, message, query, address);
  }
  throw new RegistryError('NOT_FOUND', 'no such resource');
}

async function answerRegistry(
  parts: RegistryServerParts,
  message: IncomingMessage,
  target: string,
  address: string,
): Promise<Answer> {
  const { service, identity } = parts;
  const request = parseRequestTarget(message.method ?? 'GET', target);
  if (identity === undefined) {
    return dispatch(service, { message, caller: { via: 'nothing', identity: ANONYMOUS } }, request);
  }
  const challenge: ChallengeParts = {
    realm: `${publicUrl(parts, message)}/token`,
    service: parts.serviceName,
  };
  const caller = await identify(identity, message, address, request, challenge);
  await guard(request, caller, service.rights, challenge);
  return dispatch(service, { message, caller }, request);
}

/** Identifies the caller; a credential that is not good is answered with the challenge for a better one. */
async function identify(
  identity: { login: Login; tokens: AccessTokens },
  message: IncomingMessage,
  address: string,
  request: RegistryRequest,
  challenge: ChallengeParts,
): Promise<Caller> {
  try {
    return await identifyCaller(message.headers.authorization, address, identity);
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== 'UNAUTHORIZED') throw error;
    const isToken = /^bearer /i.test(message.headers.authorization ?? '');
    const header = challengeOf(challenge, needsOf(request).scopes, isToken ? 'invalid_token' : undefined);
    throw new RegistryError('UNAUTHORIZED', error.message, {
      cause: error,
      headers: { 'WWW-Authenticate': header },
    });
  }
}

/** Returns the URL that the client knows the registry by: what is configured, else the host that it named. */
function publicUrl(parts: RegistryServerParts, message: IncomingMessage): string {
  if (parts.publicUrl !== undefined) return parts.publicUrl.replace(/\/+$/, '');
  const host = message.headers.host ?? '';
  const { localAddress = '127.0.0.1', localPort = 0 } = message.socket;
  const safe = /^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(host)
    ? host
    : `${localAddress}:${localPort}`;
  return `${parts.tls === undefined ? 'http' : 'https'}://${safe}`;
}

function pathOf(message: IncomingMessage): string {
  const target = message.url ?? '/';
  const mark = target.indexOf('?');
  return mark < 0 ? target : target.slice(0, mark);
}
