import {
  aggregatedDiscovery,
  aggregatedDiscoveryType,
  apiGroup,
  apiGroupList,
  apiResourceList,
  apiVersions,
} from '../kube/discovery.ts';
import { goQuote } from '../base/go-quote.ts';
import { methodNotAllowed } from '../kube/status.ts';
import { openApiV2Json, openApiV2Protobuf, openApiV2ProtobufType } from '../kube/openapi/openapi-v2.ts';
import { openApiV3, openApiV3Hash, openApiV3Index } from '../kube/openapi/openapi-v3.ts';
import type { ResourceInfo } from '../kube/resources.ts';
import type { NonResourceRequest } from './api-request.ts';
import { accepts } from './negotiation.ts';
import type { ServiceAccountTokens } from './service-account-tokens.ts';
import { serverVersion } from './server-version.ts';

/** An answer outside the world of objects. */
export interface PathAnswer {
  readonly body: object | string | Uint8Array;
  /** `application/json` for objects, `text/plain` for strings when absent. */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly code?: number;
  /** Objects that are indented for whoever asks. */
  readonly indented?: boolean;
}

export interface PathContext {
  readonly accept: string | undefined;
  /** `host:port` that the client reached. */
  readonly serverAddress: string;
  readonly tokens: ServiceAccountTokens;
  /** Everything served now, custom resources included. */
  readonly resources: readonly ResourceInfo[];
  /** Names of checks that fail now; empty when all is well. */
  readonly failing: () => readonly string[];
}

/** The old name of this type has an `@`, which clients may ask with but cannot parse in an answer. */
const OPENAPI_V2_PROTOBUF = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

/** Checks listed by `?verbose`; `etcd` keeps upstream's name for the storage, since probes ask for it. */
const CHECKS = ['ping', 'log', 'etcd'] as const;

/**
 * Answers discovery, OpenAPI, version, health and keys; `undefined` when the path is none of these. Health, the documents and the lists
 * of groups look at no method, as a real server's.
 *
 * @throws StatusError 405 where only reading is possible
 */
export async function answerPath(
  request: NonResourceRequest,
  context: PathContext,
): Promise<PathAnswer | undefined> {
  const answer = await answerRead(request, context);
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (answer !== undefined && !isRead && READ_ONLY.test(request.path)) throw methodNotAllowed();
  return answer;
}

/** Paths where another method than reading is refused. */
const READ_ONLY = /^\/(?:version\/?$|api(?:\/|$)|apis\/[^/]+\/.|\.well-known\/|openid\/)/;

async function answerRead(
  request: NonResourceRequest,
  context: PathContext,
): Promise<PathAnswer | undefined> {
  const path = request.path.length > 1 ? request.path.replace(/\/$/, '') : request.path;
  const parts = path.slice(1).split('/');
  switch (parts[0] ?? '') {
    case '':
      return { body: { paths: rootPaths(context.resources) }, indented: true };
    case 'version':
      return parts.length === 1 ? { body: serverVersion(), indented: true } : undefined;
    case 'healthz':
    case 'livez':
    case 'readyz':
      return health(parts, request.query, context);
    case 'api':
    case 'apis':
      return discovery(parts, context);
    case 'openapi':
      return plain(openApi(path, request.query, context));
    case '.well-known':
      return path === '/.well-known/openid-configuration' ? plain(openIdConfiguration(context)) : undefined;
    case 'openid':
      if (path !== '/openid/v1/jwks') return undefined;
      return plain({ body: await context.tokens.keySet(), contentType: 'application/jwk-set+json' });
    default:
      return undefined;
  }
}

function health(
  parts: readonly string[],
  query: URLSearchParams,
  context: PathContext,
): PathAnswer | undefined {
  const [endpoint = '', check] = parts;
  if (parts.length > 2) return undefined;
  const failing = new Set(context.failing());
  if (check !== undefined) {
    if (!CHECKS.some((name) => name === check)) return undefined;
    if (!failing.has(check)) return { body: 'ok' };
    return { body: 'internal server error: reason withheld\n', code: 500 };
  }
  const excluded = new Set(query.getAll('exclude'));
  const lines: string[] = [];
  let isWell = true;
  for (const name of CHECKS) {
    if (excluded.delete(name)) lines.push(`[+]${name} excluded: ok`);
    else if (!failing.has(name)) lines.push(`[+]${name} ok`);
    else {
      isWell = false;
      lines.push(`[-]${name} failed: reason withheld`);
    }
  }
  if (excluded.size > 0) {
    const unknown = [...excluded].toSorted().map(goQuote).join(', ');
    lines.push(`warn: some health checks cannot be excluded: no matches for ${unknown}`);
  }
  if (isWell && !query.has('verbose')) return { body: 'ok' };
  const verdict = `${endpoint} check ${isWell ? 'passed' : 'failed'}`;
  return { body: `${lines.join('\n')}\n${verdict}\n`, code: isWell ? 200 : 500 };
}

function discovery(parts: readonly string[], context: PathContext): PathAnswer | undefined {
  const isCore = parts[0] === 'api';
  const { resources } = context;
  if (parts.length === 1) {
    if (accepts(context.accept, aggregatedDiscoveryType)) {
      return {
        body: aggregatedDiscovery(isCore ? 'core' : 'groups', resources),
        contentType: aggregatedDiscoveryType,
        headers: { 'Cache-Control': 'public', Vary: 'Accept' },
      };
    }
    return { body: isCore ? apiVersions(context.serverAddress) : apiGroupList(resources) };
  }
  if (isCore) return found(parts.length === 2 ? apiResourceList('', parts[1] ?? '', resources) : undefined);
  if (parts.length === 2) return found(apiGroup(parts[1] ?? '', resources));
  return found(parts.length === 3 ? apiResourceList(parts[1] ?? '', parts[2] ?? '', resources) : undefined);
}

/** What is made for programs is the same whoever asks. */
function plain(answer: PathAnswer | undefined): PathAnswer | undefined {
  return answer && { ...answer, indented: false };
}

function openApi(path: string, query: URLSearchParams, context: PathContext): PathAnswer | undefined {
  const { resources } = context;
  if (path === '/openapi/v2') {
    if (accepts(context.accept, openApiV2ProtobufType) || accepts(context.accept, OPENAPI_V2_PROTOBUF)) {
      return { body: openApiV2Protobuf(resources), contentType: OPENAPI_V2_PROTOBUF };
    }
    return { body: openApiV2Json(resources), contentType: 'application/json' };
  }
  if (path === '/openapi/v3') {
    return { body: openApiV3Index(resources), contentType: 'text/plain; charset=utf-8' };
  }
  if (!path.startsWith('/openapi/v3/')) return undefined;
  const document = path.slice('/openapi/v3/'.length);
  const body = openApiV3(document, resources);
  if (body === undefined) return undefined;
  const hash = openApiV3Hash(document, resources) ?? '';
  // A document asked for by its hash never changes under that address.
  const cache = query.get('hash') === hash ? 'public, immutable' : 'no-cache, private';
  return {
    body,
    contentType: 'application/json',
    headers: { Etag: `"${hash}"`, 'Cache-Control': cache, Vary: 'Accept' },
  };
}

function openIdConfiguration(context: PathContext): PathAnswer {
  const { issuer } = context.tokens;
  return {
    body: {
      issuer,
      jwks_uri: `https://${context.serverAddress}/openid/v1/jwks`,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256', 'RS256'],
    },
  };
}

function found(body: object | undefined): PathAnswer | undefined {
  return body === undefined ? undefined : { body };
}

function rootPaths(resources: readonly ResourceInfo[]): string[] {
  const paths = new Set(['/.well-known/openid-configuration', '/api', '/apis', '/apis/']);
  for (const { group, apiVersion } of resources) {
    if (group === '') paths.add(`/api/${apiVersion}`);
    else paths.add(`/apis/${group}`).add(`/apis/${apiVersion}`);
  }
  for (const endpoint of ['healthz', 'livez', 'readyz']) {
    paths.add(`/${endpoint}`);
    for (const check of CHECKS) paths.add(`/${endpoint}/${check}`);
  }
  for (const path of ['/openapi/v2', '/openapi/v3', '/openid/v1/jwks', '/version']) paths.add(path);
  return [...paths].sort();
}
