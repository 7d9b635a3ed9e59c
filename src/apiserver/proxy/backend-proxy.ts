import type { IncomingMessage, ServerResponse } from 'node:http';
import { posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { newAgent, type Agent } from '../../base/undici-parts.ts';
import { badRequest, serviceUnavailable } from '../../kube/status.ts';
import { describeDialFailure } from '../../remote/dial-error.ts';
import type { ApiCall, ApiContext } from '../api-call.ts';
import type { HttpResponder } from '../http-responder.ts';
import type { KubeletProxy } from '../pod-log.ts';
import { findBackend, type Backend } from './backend.ts';

/** A backend that does not even take the connection is given up after this long; what it then sends may take for ever. */
const CONNECT_MS = 10_000;

/** What is between two neighbours only, RFC 9110 7.6.1, and what is meant for us: credentials stay here. */
const NOT_PASSED_ON = new Set([
  'authorization',
  'connection',
  'expect',
  'host',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** The part of an address that belongs to the proxy. */
const PROXY_ROOT = /^\/api\/v1\/(?:nodes|namespaces\/[^/]+\/(?:pods|services))\/[^/]+\/proxy/;

/** Tells whether a call is to be passed on to what runs behind an object. */
export function isProxied({ request, resource }: ApiCall): boolean {
  return request.subresource === 'proxy' && resource.subresources.some(({ name }) => name === 'proxy');
}

/** Passes requests on to Pods, Services and nodes' own endpoints. Redirects are the client's to follow. */
export class BackendProxy {
  readonly #kubelets: KubeletProxy;
  /** Certificates of Pods are nobody's to check: they are their own. */
  readonly #others = newAgent({
    connect: { rejectUnauthorized: false, timeout: CONNECT_MS },
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  readonly #ownPorts: () => readonly number[];

  /** @param ownPorts ports of this machine that believe whoever connects from it, and so would believe this proxy */
  constructor(kubelets: KubeletProxy, ownPorts: () => readonly number[]) {
    this.#kubelets = kubelets;
    this.#ownPorts = ownPorts;
  }

  /** @throws StatusError before anything was answered */
  async serve(
    context: ApiContext,
    call: ApiCall,
    exchange: { request: IncomingMessage; response: ServerResponse; responder: HttpResponder },
  ): Promise<void> {
    const { request, response, responder } = exchange;
    const backend = findBackend(context, call);
    const path = backendPath(call);
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    if (path === '' && isRead) {
      const location = `${pathOf(request)}/${queryOf(request)}`;
      await responder.path({ body: '', code: 301, headers: { Location: location } });
      return;
    }
    const answer = await this.#ask(backend, path, call, request);
    const headers = passable(answer.headers);
    if (typeof headers['location'] === 'string') {
      headers['location'] = throughProxy(headers['location'], backend, path, request);
    }
    response.writeHead(answer.statusCode, headers);
    try {
      await pipeline(answer.body, response);
    } catch (error) {
      // A client that has seen enough closes the connection; that is no failure.
      if (!call.signal.aborted) throw error;
    }
  }

  async close(): Promise<void> {
    await this.#others.destroy();
  }

  async #ask(
    backend: Backend,
    path: string,
    call: ApiCall,
    request: IncomingMessage,
  ): ReturnType<Agent['request']> {
    const { host, hostname, protocol, port } = new URL(backend.origin);
    if (hostname.startsWith('127.') && this.#ownPorts().includes(Number(port))) {
      throw badRequest('address not allowed');
    }
    const agent = backend.node === undefined ? this.#others : this.#kubelets.agentOf(backend.node);
    if (agent === undefined)
      throw serviceUnavailable('error trying to reach service: no certificate for nodes');
    const hasBody = request.headers['content-length'] !== undefined || 'transfer-encoding' in request.headers;
    try {
      return await agent.request({
        origin: backend.origin,
        path: `${path === '' ? '/' : path}${queryOf(request)}`,
        method: request.method ?? 'GET',
        headers: { ...passable(request.headers), ...forwarded(request) },
        body: hasBody ? request : null,
        signal: call.signal,
      });
    } catch (error) {
      const { text } = describeDialFailure(error, host, protocol === 'https:' ? 443 : 80);
      throw serviceUnavailable(`error trying to reach service: ${text}`, { cause: error });
    }
  }
}

/** Path at the backend; `''` when the request names none. It never leaves the backend's root. */
function backendPath({ request }: ApiCall): string {
  const { proxyPath, query } = request;
  const path = proxyPath === undefined || proxyPath === '' ? (query.get('path') ?? '') : proxyPath;
  if (path === '') return request.path.endsWith('/') ? '/' : '';
  const encoded = path.split('/').map(encodeURIComponent).join('/');
  return posix.normalize(`/${encoded}`);
}

/** As it was sent: what stands for other characters stays so. */
function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?', 1)[0] ?? '';
}

function queryOf(request: IncomingMessage): string {
  const url = request.url ?? '';
  const mark = url.indexOf('?');
  return mark < 0 ? '' : url.slice(mark);
}

function passable(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Record<string, string | string[]> {
  const named = new Set(
    String(headers['connection'] ?? '')
      .toLowerCase()
      .split(/\s*,\s*/),
  );
  const passed: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    const isOurs = NOT_PASSED_ON.has(name) || named.has(name) || name.startsWith('impersonate-');
    if (!isOurs && value !== undefined) passed[name] = value;
  }
  return passed;
}

/** Tells the backend under which address it is seen. */
function forwarded(request: IncomingMessage): Record<string, string> {
  const before = request.headers['x-forwarded-for'];
  const from = request.socket.remoteAddress ?? '';
  return {
    'x-forwarded-uri': pathOf(request),
    'x-forwarded-host': request.headers.host ?? '',
    'x-forwarded-proto': 'encrypted' in request.socket ? 'https' : 'http',
    'x-forwarded-for': before === undefined ? from : `${String(before)}, ${from}`,
  };
}

/** A redirect within the backend leads back through the proxy; one to elsewhere is left alone. */
function throughProxy(location: string, backend: Backend, path: string, request: IncomingMessage): string {
  const target = URL.parse(location, `${backend.origin}${path === '' ? '/' : path}`);
  if (target === null || target.origin !== new URL(backend.origin).origin) return location;
  const own = PROXY_ROOT.exec(pathOf(request))?.[0];
  return own === undefined ? location : `${own}${target.pathname}${target.search}${target.hash}`;
}
