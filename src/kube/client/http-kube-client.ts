import { newAgent, type Agent } from '../../base/undici-parts.ts';
import type { Dispatcher } from 'undici';
import type { KubeList, KubeObject } from '../object.ts';
import type { Status } from '../status.ts';
import { KubeApiError } from './kube-api-error.ts';
import type {
  KubeClient,
  ListOptions,
  ObjectName,
  PatchType,
  ResourceType,
  WatchEvent,
  WatchOptions,
} from './kube-client.ts';
import type { ClientConfig } from './kubeconfig.ts';
import { readLines } from './_read-lines.ts';

/** A request that is not a watch has this long to be answered. */
const REQUEST_MS = 60_000;
/**
 * Connections for requests that are not watches. Each begins with a TLS handshake, which costs both ends milliseconds of processor: hundreds of
 * requests at once must wait for connections that are there, not all make one and run out of time together. Go's client has one for all.
 */
const MAX_CONNECTIONS = 16;
/** Time for a connection, its handshake included, as Go's client gives it. */
const CONNECT_MS = 30_000;
/** How long the server is asked to keep a watch open before it closes it in good order. */
const WATCH_SECONDS = 300;
/**
 * A watch on which nothing arrives for so long is taken for dead: the server sends a bookmark every minute,
 * and a connection that a firewall dropped silently would otherwise never end.
 */
const INACTIVITY_MS = 150_000;
/** Largest answer taken: some 50,000 objects in one list; lists should be paged long before. */
const MAX_ANSWER = 256 * 1024 * 1024;

const PATCH_TYPES: Readonly<Record<PatchType, string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

export interface HttpKubeClientOptions extends ClientConfig {
  /** Names the program in the server's log and in managedFields. */
  readonly userAgent?: string;
  /** Milliseconds of silence after which a watch is given up; 150 seconds when absent. */
  readonly inactivityMs?: number;
}

/** Talks to an API server over HTTPS. Close it when done: it holds connections open. */
export class HttpKubeClient implements KubeClient {
  readonly #requests: Agent;
  /** Watches keep a connection each for as long as they last, so they must not take those of requests. */
  readonly #watches: Agent;
  readonly #origin: string;
  readonly #prefix: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #inactivityMs: number;

  constructor(options: HttpKubeClientOptions) {
    const url = new URL(options.server);
    this.#origin = url.origin;
    this.#prefix = url.pathname.replace(/\/$/, '');
    this.#inactivityMs = options.inactivityMs ?? INACTIVITY_MS;
    this.#headers = {
      accept: 'application/json',
      'user-agent': options.userAgent ?? 'drayage',
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
    };
    const agent = {
      headersTimeout: REQUEST_MS,
      bodyTimeout: 0,
      connect: {
        timeout: CONNECT_MS,
        ...(options.ca === undefined ? {} : { ca: options.ca }),
        ...(options.cert === undefined ? {} : { cert: options.cert }),
        ...(options.key === undefined ? {} : { key: options.key }),
        ...(options.serverName === undefined ? {} : { servername: options.serverName }),
        rejectUnauthorized: options.insecure !== true,
      },
    };
    this.#requests = newAgent({ ...agent, connections: MAX_CONNECTIONS });
    this.#watches = newAgent(agent);
  }

  async get<T extends KubeObject>(type: ResourceType, name: ObjectName, signal: AbortSignal): Promise<T> {
    return (await this.#json('GET', objectPath(type, name), signal)) as T;
  }

  async list<T extends KubeObject>(
    type: ResourceType,
    options: ListOptions,
    signal: AbortSignal,
  ): Promise<KubeList<T>> {
    const path = `${collectionPath(type, options.namespace)}${queryOf(listQuery(options))}`;
    const list = (await this.#json('GET', path, signal)) as KubeList<T>;
    // Servers leave kind and apiVersion out of items; whoever handles one alone wants to know what it is.
    const named = { apiVersion: apiVersionOf(type), kind: type.kind };
    list.items = (list.items ?? []).map((item) => ({ ...named, ...item }));
    return list;
  }

  async *watch<T extends KubeObject>(
    type: ResourceType,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<T>> {
    const query = listQuery(options);
    query.set('watch', 'true');
    query.set('timeoutSeconds', String(WATCH_SECONDS));
    if (options.allowWatchBookmarks === true) query.set('allowWatchBookmarks', 'true');
    const path = `${collectionPath(type, options.namespace)}${queryOf(query)}`;
    const silence = new AbortController();
    const timer = setTimeout(() => {
      silence.abort(
        new KubeApiError('Transport', `Cannot watch ${path}: nothing arrived for ${this.#inactivityMs} ms`),
      );
    }, this.#inactivityMs);
    timer.unref();
    const both = AbortSignal.any([signal, silence.signal]);
    try {
      const answer = await this.#send('GET', path, both, { agent: this.#watches });
      for await (const line of readLines(answer.body, () => timer.refresh())) {
        const event = JSON.parse(line) as WatchEvent<T> | { type: 'ERROR'; object: Status };
        if (event.type === 'ERROR') throw KubeApiError.fromStatus(event.object);
        yield event;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (silence.signal.aborted) throw silence.signal.reason;
      throw KubeApiError.from(error, `watch ${path}`);
    } finally {
      clearTimeout(timer);
      silence.abort();
    }
  }

  async create<T extends KubeObject>(type: ResourceType, object: T, signal: AbortSignal): Promise<T> {
    const path = collectionPath(type, object.metadata.namespace);
    return (await this.#json('POST', path, signal, object)) as T;
  }

  async update<T extends KubeObject>(
    type: ResourceType,
    object: T,
    signal: AbortSignal,
    subresource?: string,
  ): Promise<T> {
    const path = objectPath(type, object.metadata, subresource);
    return (await this.#json('PUT', path, signal, object)) as T;
  }

  async patch<T extends KubeObject>(
    type: ResourceType,
    name: ObjectName,
    patch: unknown,
    patchType: PatchType,
    signal: AbortSignal,
    options: { subresource?: string; fieldManager?: string; force?: boolean } = {},
  ): Promise<T> {
    const query = new URLSearchParams();
    if (options.fieldManager !== undefined) query.set('fieldManager', options.fieldManager);
    if (options.force === true) query.set('force', 'true');
    const path = `${objectPath(type, name, options.subresource)}${queryOf(query)}`;
    return (await this.#json('PATCH', path, signal, patch, PATCH_TYPES[patchType])) as T;
  }

  async delete(
    type: ResourceType,
    name: ObjectName,
    signal: AbortSignal,
    options: {
      gracePeriodSeconds?: number;
      preconditions?: { uid?: string; resourceVersion?: string };
      propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
    } = {},
  ): Promise<void> {
    const body = { kind: 'DeleteOptions', apiVersion: 'v1', ...options };
    await this.#json('DELETE', objectPath(type, name), signal, body);
  }

  async createSubresource<T extends KubeObject>(
    type: ResourceType,
    name: ObjectName,
    subresource: string,
    object: KubeObject,
    signal: AbortSignal,
  ): Promise<T> {
    return (await this.#json('POST', objectPath(type, name, subresource), signal, object)) as T;
  }

  /** Answers whether the server says that it is ready. */
  async isReady(signal: AbortSignal): Promise<boolean> {
    try {
      const answer = await this.#send('GET', '/readyz', signal);
      await answer.body.dump();
      return true;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof KubeApiError) return false;
      throw error;
    }
  }

  /** Returns the log of a Pod's only container, or of the one named. */
  async podLog(pod: ObjectName, signal: AbortSignal, container?: string): Promise<string> {
    const query = container === undefined ? '' : `?container=${encodeURIComponent(container)}`;
    const path = `/api/v1/namespaces/${encodeURIComponent(pod.namespace ?? 'default')}/pods/${encodeURIComponent(pod.name)}/log${query}`;
    const limited = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS)]);
    const answer = await this.#send('GET', path, limited);
    return textOf(answer.body);
  }

  /** Closes every connection; requests under way fail. */
  async close(): Promise<void> {
    await Promise.all([this.#requests.destroy(), this.#watches.destroy()]);
  }

  async #json(
    method: Dispatcher.HttpMethod,
    path: string,
    signal: AbortSignal,
    body?: unknown,
    contentType = 'application/json',
  ): Promise<unknown> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS)]);
    try {
      const answer = await this.#send(method, path, limited, { body, contentType });
      return JSON.parse(await textOf(answer.body)) as unknown;
    } catch (error) {
      signal.throwIfAborted();
      throw KubeApiError.from(error, `${method} ${path}`);
    }
  }

  /** Sends a request and returns an answer of class 2xx. */
  async #send(
    method: Dispatcher.HttpMethod,
    path: string,
    signal: AbortSignal,
    {
      body,
      contentType = 'application/json',
      agent = this.#requests,
    }: { body?: unknown; contentType?: string; agent?: Agent } = {},
  ): Promise<Dispatcher.ResponseData> {
    let answer: Dispatcher.ResponseData;
    try {
      answer = await agent.request({
        origin: this.#origin,
        path: `${this.#prefix}${path}`,
        method,
        signal,
        headers: body === undefined ? this.#headers : { ...this.#headers, 'content-type': contentType },
        body: body === undefined ? null : JSON.stringify(body),
      });
    } catch (error) {
      signal.throwIfAborted();
      throw KubeApiError.from(error, `${method} ${path}`);
    }
    if (answer.statusCode >= 200 && answer.statusCode < 300) return answer;
    throw KubeApiError.fromStatus(statusOf(answer.statusCode, await textOf(answer.body)));
  }
}

async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_ANSWER) throw new RangeError(`the answer is larger than ${MAX_ANSWER} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size).toString();
}

/** A proxy in between may answer with a page of its own: then the code alone speaks. */
function statusOf(code: number, text: string): Status {
  try {
    const value = JSON.parse(text) as Status;
    if (value?.kind === 'Status') return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  const reasons: Readonly<Record<number, Status['reason']>> = {
    401: 'Unauthorized',
    403: 'Forbidden',
    404: 'NotFound',
    409: 'Conflict',
    410: 'Expired',
    429: 'TooManyRequests',
    503: 'ServiceUnavailable',
  };
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: text.trim() === '' ? `the server answered ${code}` : text.trim().slice(0, 1024),
    reason: reasons[code] ?? (code >= 500 ? 'InternalError' : 'Unknown'),
    code,
  };
}

function apiVersionOf(type: ResourceType): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`;
}

function collectionPath(type: ResourceType, namespace: string | undefined): string {
  const root = type.group === '' ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  const scope =
    type.namespaced && namespace !== undefined && namespace !== ''
      ? `/namespaces/${encodeURIComponent(namespace)}`
      : '';
  return `${root}${scope}/${type.resource}`;
}

function objectPath(type: ResourceType, name: ObjectName, subresource?: string): string {
  const path = `${collectionPath(type, name.namespace)}/${encodeURIComponent(name.name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}

function listQuery(options: ListOptions): URLSearchParams {
  const query = new URLSearchParams();
  const { labelSelector, fieldSelector, limit, resourceVersion } = options;
  if (labelSelector !== undefined) query.set('labelSelector', labelSelector);
  if (fieldSelector !== undefined) query.set('fieldSelector', fieldSelector);
  if (limit !== undefined) query.set('limit', String(limit));
  if (options.continue !== undefined) query.set('continue', options.continue);
  if (resourceVersion !== undefined) query.set('resourceVersion', resourceVersion);
  return query;
}

function queryOf(query: URLSearchParams): string {
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}
