import type { IncomingMessage } from 'node:http';
import { METRICS_TYPE } from '../../observe/metrics.ts';
import type { AccessTokens } from '../identity/access-token.ts';
import { ANONYMOUS } from '../identity/identity.ts';
import type { Login } from '../identity/login.ts';
import type { TokenService } from '../identity/token-service.ts';
import { RegistryError } from '../registry-error.ts';
import { emptyAnswer, jsonAnswer, type Answer } from './answer.ts';
import { auditSubject } from './audit-request.ts';
import { claimedAccount, identifyCaller, type Caller } from './caller.ts';
import { dispatch } from './dispatch.ts';
import type { Service } from './exchange.ts';
import { challengeOf, guard, needsOf, type ChallengeParts } from './guard.ts';
import { localRequest } from '../proxy/upstreams.ts';
import type { RegistryMetrics } from './registry-metrics.ts';
import { parseRequestTarget, type RegistryRequest } from './request-target.ts';
import type { RequestTrail } from './request-trail.ts';
import { answerTokenRequest } from './token-endpoint.ts';

export interface AnsweringParts {
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
  readonly scheme: 'http' | 'https';
  readonly metrics: RegistryMetrics;
  /** Says why the registry should get no requests now; undefined when it should. */
  readonly unready: () => Promise<string | undefined>;
}

/**
 * Finds the answer to a request and notes on its trail what became known.
 *
 * @throws RegistryError and whatever else goes wrong
 */
export async function answerRequest(
  parts: AnsweringParts,
  message: IncomingMessage,
  trail: RequestTrail,
): Promise<Answer> {
  const { path } = trail;
  if (path === '/v2' || path.startsWith('/v2/')) return answerRegistry(parts, message, trail);
  if (path === '/token' && parts.identity !== undefined) {
    return answerToken(parts.identity.tokenService, message, trail);
  }
  if (message.method !== 'GET' && message.method !== 'HEAD') throw notFound();
  switch (path) {
    case '/healthz':
      return textAnswer(200, 'ok\n');
    case '/readyz': {
      const reason = await parts.unready();
      return reason === undefined ? textAnswer(200, 'ok\n') : textAnswer(503, `${reason}\n`);
    }
    case '/metrics':
      return textAnswer(200, parts.metrics.collection.text(), METRICS_TYPE);
    case '/':
      return jsonAnswer(200, { service: parts.serviceName, api: '/v2/' });
    default:
      throw notFound();
  }
}

async function answerToken(
  service: TokenService,
  message: IncomingMessage,
  trail: RequestTrail,
): Promise<Answer> {
  trail.kind = 'token';
  if (message.method !== 'GET' && message.method !== 'POST') return emptyAnswer(405, { Allow: 'GET, POST' });
  const query = new URLSearchParams((message.url ?? '').slice(trail.path.length + 1));
  trail.subject = { action: 'login', target: 'token' };
  return answerTokenRequest(service, message, query, trail);
}

async function answerRegistry(
  parts: AnsweringParts,
  message: IncomingMessage,
  trail: RequestTrail,
): Promise<Answer> {
  const { service } = parts;
  const parsed = parseRequestTarget(trail.method, message.url ?? '/');
  const { request, namespace } = localRequest(service.cache?.upstreams ?? [], parsed, namespaceOf(message));
  const answer = await answerParsed(parts, message, trail, request);
  return namespace === undefined
    ? answer
    : { ...answer, headers: { ...answer.headers, 'OCI-Namespace': namespace } };
}

async function answerParsed(
  parts: AnsweringParts,
  message: IncomingMessage,
  trail: RequestTrail,
  request: RegistryRequest,
): Promise<Answer> {
  const { service, identity } = parts;
  trail.kind = request.kind;
  trail.subject = auditSubject(request);
  if (identity === undefined) {
    return dispatch(service, { message, trail, caller: { via: 'nothing', identity: ANONYMOUS } }, request);
  }
  const realm = `${publicUrl(parts, message)}/token`;
  const challenge: ChallengeParts = { realm, service: parts.serviceName };
  // Whoever guesses at passwords is refused before it is known who it is: the log says whose they were to be.
  trail.account = claimedAccount(message.headers.authorization);
  const caller = await identify(identity, message, trail.address, request, challenge);
  trail.account = caller.identity.account;
  await guard(request, caller, service.rights, challenge);
  return dispatch(service, { message, trail, caller }, request);
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

/**
 * Returns the URL that the client knows the registry by: what is configured, else the host that it named. The server lets only
 * trusted proxies say that TLS ends at them.
 */
function publicUrl(parts: AnsweringParts, message: IncomingMessage): string {
  if (parts.publicUrl !== undefined) return parts.publicUrl.replace(/\/+$/, '');
  const host = message.headers.host ?? '';
  const { localAddress = '127.0.0.1', localPort = 0 } = message.socket;
  const isHost = /^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(host);
  const scheme = message.headers['x-forwarded-proto'] === 'https' ? 'https' : parts.scheme;
  return `${scheme}://${isHost ? host : `${localAddress}:${localPort}`}`;
}

/** Returns what a client that uses us as a mirror says it wants: the registry that the image names. */
function namespaceOf(message: IncomingMessage): string | null {
  const mark = message.url?.indexOf('?') ?? -1;
  return mark < 0 ? null : new URLSearchParams(message.url?.slice(mark + 1)).get('ns');
}

function textAnswer(status: number, text: string, type = 'text/plain; charset=utf-8'): Answer {
  const body = Buffer.from(text);
  const headers = {
    'Content-Type': type,
    'Content-Length': String(body.length),
    'Cache-Control': 'no-store',
  };
  return { status, headers, body };
}

function notFound(): RegistryError {
  return new RegistryError('NOT_FOUND', 'no such resource');
}
