import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { messageOf } from '../../base/coded-error.ts';
import { https } from '../../base/node-http.ts';
import type { Pod } from '../../kube/pod.ts';
import type { Logger } from '../../observe/logger.ts';
import { podUid } from '../pod-reference.ts';
import type { StreamEndpoint } from '../streaming/stream-endpoint.ts';
import { containerLog, type ContainerLogSources } from './container-log.ts';
import { json, plainText, sendAnswer, type EndpointAnswer } from './endpoint-answer.ts';

/** Groups whose members may use the endpoint: those that the API server's own certificate has. */
const ALLOWED_GROUPS = new Set(['system:masters', 'kubeadm:cluster-admins']);

export interface KubeletServerTls {
  readonly cert: string;
  readonly key: string;
  /** Certificates of the authorities that client certificates must come from. */
  readonly ca: string;
  /** Certificate of who signed `cert`, where that is not the cluster's authority. */
  readonly authority?: string;
}

export interface KubeletServerOptions extends ContainerLogSources {
  readonly host: string;
  readonly port: number;
  readonly tls: KubeletServerTls;
  readonly workers: ContainerLogSources['workers'] & { pods(): Pod[] };
  /** Where Pods have their ports; this machine when absent. */
  readonly podAddress?: string;
  /** What `/pulls` answers; undefined when the node does not remember its pulls. */
  readonly pulls?: () => object | undefined;
  /** What `/metrics` answers, in Prometheus' text format. */
  readonly metrics?: { readonly contentType: string; text(): Promise<string> };
  readonly logger: Logger;
}

/** Serves what the API server asks of a node: logs, sessions, Pods, health. Everything but health needs a client certificate. */
export async function startKubeletServer(
  options: KubeletServerOptions,
): Promise<{ port: number; close(): Promise<void> }> {
  const { cert, key, ca } = options.tls;
  const closing = new AbortController();
  const server = https.createServer(
    { cert, key, ca, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.2' },
    (request, response) => void serve(options, request, response, closing.signal),
  );
  const sessions = sessionsOf(options);
  server.on('upgrade', (request, socket, head) => void sessions.serve(request, socket, head));
  server.listen(options.port, options.host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      closing.abort(new Error('the node agent stops'));
      sessions.close();
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function serve(
  options: KubeletServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
  closing: AbortSignal,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort(new Error('the client is gone')));
  const signal = AbortSignal.any([closing, gone.signal]);
  const headOnly = request.method === 'HEAD';
  try {
    await sendAnswer(response, await answerTo(options, request, signal), headOnly);
  } catch (error) {
    if (!signal.aborted) options.logger.warn({ error: messageOf(error) }, 'a request to the node failed');
    if (signal.aborted || response.headersSent) response.destroy();
    else await sendAnswer(response, plainText(500, 'Internal Server Error\n'), headOnly);
  }
}

/** Where everything is found. Health is nobody's secret. */
async function answerTo(
  options: KubeletServerOptions,
  request: IncomingMessage,
  signal: AbortSignal,
): Promise<EndpointAnswer> {
  const [, path = '', query = ''] = /^([^?]*)\??(.*)$/.exec(request.url ?? '') ?? [];
  const refusal = path === '/healthz' ? undefined : refuse(request);
  if (refusal !== undefined) return plainText(refusal.status, `${refusal.message}\n`);
  const route = routeOf(options, path, new URLSearchParams(query));
  if (route === undefined) return plainText(404, '404 page not found\n');
  if (request.method !== 'GET' && request.method !== 'HEAD') return plainText(405, 'Method Not Allowed\n');
  return await route(signal);
}

function routeOf(
  options: KubeletServerOptions,
  path: string,
  query: URLSearchParams,
): ((signal: AbortSignal) => Promise<EndpointAnswer>) | undefined {
  const { metrics } = options;
  switch (path) {
    case '/healthz':
      return async () => plainText(200, 'ok');
    case '/metrics':
      if (metrics === undefined) return undefined;
      return async () => ({ status: 200, type: metrics.contentType, body: await metrics.text() });
    case '/pulls':
      return async () => json(options.pulls?.() ?? { pulling: [], ended: [] });
    case '/pods':
      return async () => json(podList(options));
    default: {
      const log = /^\/containerLogs\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(path);
      if (log === null) return undefined;
      // Names of objects have no letter that an address must escape.
      const [, namespace = '', pod = '', container = ''] = log;
      return (signal) => containerLog(options, { namespace, pod, container, query }, signal);
    }
  }
}

function podList({ workers, statuses }: KubeletServerOptions): object {
  const items = workers.pods().map((pod) => ({ ...pod, status: statuses.get(podUid(pod)) ?? pod.status }));
  return { kind: 'PodList', apiVersion: 'v1', metadata: {}, items };
}

/** Sessions with containers, whose code is loaded with the first of them. */
function sessionsOf(options: KubeletServerOptions): {
  serve(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>;
  close(): void;
} {
  let endpoint: StreamEndpoint | undefined;
  let closed = false;
  return {
    serve: async (request, socket, head) => {
      socket.on('error', () => socket.destroy());
      const [{ StreamEndpoint: Endpoint }, { refuseUpgrade }] = await Promise.all([
        import('../streaming/stream-endpoint.ts'),
        import('../streaming/negotiate.ts'),
      ]);
      if (closed) {
        socket.destroy();
        return;
      }
      const refusal = refuse(request);
      if (refusal !== undefined) {
        refuseUpgrade(socket, refusal);
        return;
      }
      endpoint ??= new Endpoint({
        pod: (namespace, name) => options.workers.named(namespace, name),
        runtime: options.runtime,
        address: options.podAddress ?? '127.0.0.1',
        logger: options.logger,
      });
      await endpoint.serve(request, socket, head);
    },
    close: () => {
      closed = true;
      endpoint?.close();
    },
  };
}

function refuse(request: IncomingMessage): { status: 401 | 403; message: string } | undefined {
  const socket = request.socket as TLSSocket;
  if (!socket.authorized) return { status: 401, message: 'Unauthorized' };
  const { subject } = socket.getPeerCertificate();
  // A certificate of several groups has several organizations.
  const organization: string | string[] | undefined = subject?.O;
  const groups = Array.isArray(organization) ? organization : [organization ?? ''];
  if (groups.some((group) => ALLOWED_GROUPS.has(group))) return undefined;
  return { status: 403, message: `Forbidden (user=${String(subject?.CN)}, verb=get, resource=nodes)` };
}
