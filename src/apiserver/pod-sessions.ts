import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { https } from '../base/node-http.ts';
import { messageOf } from '../base/coded-error.ts';
import { endpointAuthority, kubeletBaseUrl } from '../kube/client/kubelet-endpoint.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import { badRequest, notFound, plainError } from '../kube/status.ts';
import { coreResource, mustGet, type ApiCall, type ApiContext } from './api-call.ts';
import { isTrue } from './api-request.ts';
import { containerOf, type KubeletTls } from './pod-log.ts';

/** Parts of a Pod that are sessions with it. */
const SESSIONS = new Set(['attach', 'exec', 'portforward']);

/** How long the other end may take to close a connection that was ended here. */
const LINGER_MS = 2_000;
/** A node that does not answer the request for a session is given up after this long. */
const ANSWER_MS = 40_000;

/** What a client and a node say to each other about the protocol of the session; nothing else of the request reaches the node. */
const PASSED_ON = [
  'upgrade',
  'connection',
  'sec-websocket-key',
  'sec-websocket-version',
  'sec-websocket-protocol',
  'sec-websocket-extensions',
  'x-stream-protocol-version',
];

/** A connection whose client wants to go on in another protocol. */
export interface Upgrade {
  readonly socket: Duplex;
  /** What was read beyond the request. */
  readonly head: Buffer;
  /** Takes the connection from HTTP for good. */
  take(): void;
}

/** Tells whether a call is for a session with a Pod. */
export function isSession(call: ApiCall): boolean {
  const { resource, subresource, verb } = call.request;
  return resource === 'pods' && SESSIONS.has(subresource) && (verb === 'get' || verb === 'create');
}

/**
 * Connects clients with the nodes that hold their sessions. It understands nothing of what they say: client and node agree on WebSockets
 * or SPDY, and every byte passes through.
 */
export class PodSessions {
  readonly #tls: KubeletTls | undefined;
  readonly #open = new Set<Duplex>();

  constructor(tls: KubeletTls | undefined) {
    this.#tls = tls;
  }

  /**
   * Answers a call for a session; returns when the connection belongs to node and client, or the node has refused.
   *
   * @throws StatusError before anything was answered
   */
  async serve(
    context: ApiContext,
    call: ApiCall,
    request: IncomingMessage,
    upgrade: Upgrade | undefined,
  ): Promise<void> {
    const pod = mustGet(context, call).object as Pod;
    const path = sessionPath(pod, call);
    const node = pod.spec.nodeName ?? '';
    if (node === '') throw badRequest(`pod ${pod.metadata.name} does not have a host assigned`);
    const found = context.store.get({ resource: 'nodes', namespace: '', name: node })?.object;
    if (found === undefined) throw notFound(coreResource('nodes'), node);
    const base = kubeletBaseUrl(found as KubeObject & { status?: object });
    if (base === undefined || this.#tls === undefined) {
      throw plainError(`error dialing backend: node "${node}" has no endpoint`);
    }
    if (upgrade === undefined) throw badRequest('Upgrade request required');
    const ca = endpointAuthority(found, this.#tls.ca);
    const answer = await this.#ask(`${base}${path}`, request, { ...this.#tls, ca });
    upgrade.take();
    passOn(answer.response, upgrade.socket);
    if (answer.socket === undefined) answer.response.pipe(upgrade.socket);
    else this.#join(upgrade, answer.socket, answer.head);
  }

  close(): void {
    for (const socket of this.#open) socket.destroy();
  }

  #join(client: Upgrade, node: Duplex, head: Buffer): void {
    for (const [from, to] of [
      [client.socket, node],
      [node, client.socket],
    ] as const) {
      this.#open.add(from);
      from.on('error', () => to.destroy());
      from.once('close', () => {
        this.#open.delete(from);
        end(to);
      });
    }
    client.socket.write(head);
    node.write(client.head);
    client.socket.pipe(node);
    node.pipe(client.socket);
  }

  async #ask(
    url: string,
    request: IncomingMessage,
    tls: KubeletTls,
  ): Promise<{ response: IncomingMessage; socket?: Duplex; head: Buffer }> {
    const headers: Record<string, string | string[]> = {};
    for (const name of PASSED_ON) {
      const value = request.headers[name];
      if (value !== undefined) headers[name] = value;
    }
    return await new Promise((resolve, reject) => {
      const asked = https.request(url, { ...tls, method: request.method ?? 'GET', headers, agent: false });
      asked.setTimeout(ANSWER_MS, () => asked.destroy(new Error('i/o timeout')));
      asked.once('upgrade', (response, socket, head) => {
        socket.setTimeout(0);
        resolve({ response, socket, head });
      });
      asked.once('response', (response) => resolve({ response, head: Buffer.alloc(0) }));
      asked.once('error', (error) => {
        reject(plainError(`error dialing backend: ${messageOf(error)}`, { cause: error }));
      });
      asked.end();
    });
  }
}

/**
 * Ends a connection whose counterpart is over. What was passed on last is still on its way: were it closed with something unread in it, the
 * other end would be told of a reset in place of how its session ended.
 */
function end(socket: Duplex): void {
  if (socket.destroyed) return;
  socket.end();
  socket.resume();
  const late = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(late));
}

/** Writes the head of a node's answer to the client as it is. */
function passOn(response: IncomingMessage, socket: Duplex): void {
  const lines = [`HTTP/1.1 ${response.statusCode ?? 500} ${response.statusMessage ?? ''}`];
  const raw = response.rawHeaders;
  for (let i = 0; i + 1 < raw.length; i += 2) lines.push(`${raw[i] ?? ''}: ${raw[i + 1] ?? ''}`);
  socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

/** Returns path and query under which a node offers the session. */
function sessionPath(pod: Pod, call: ApiCall): string {
  const { subresource, query } = call.request;
  const { name, namespace = '' } = pod.metadata;
  const asked = new URLSearchParams();
  if (subresource === 'portforward') {
    for (const port of query.getAll('ports').flatMap((text) => text.split(','))) asked.append('port', port);
    return `/portForward/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}${queryText(asked)}`;
  }
  const container = containerOf(pod, query.get('container') ?? '');
  for (const word of query.getAll('command')) asked.append('command', word);
  for (const [theirs, ours] of [
    ['stdin', 'input'],
    ['stdout', 'output'],
    ['stderr', 'error'],
    ['tty', 'tty'],
  ] as const) {
    if (isTrue(query.get(theirs))) asked.set(ours, '1');
  }
  const path = [subresource, namespace, name, container].map(encodeURIComponent).join('/');
  return `/${path}${queryText(asked)}`;
}

function queryText(query: URLSearchParams): string {
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}
