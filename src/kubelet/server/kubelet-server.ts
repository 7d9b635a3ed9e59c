import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import type { Pod } from '../../kube/pod.ts';
import type { Logger } from '../../observe/logger.ts';
import type { RuntimeService } from '../../runtime/runtime-service.ts';
import { findContainer, podUid } from '../pod-reference.ts';
import type { StatusManager } from '../status-manager.ts';
import { refuseUpgrade } from '../streaming/negotiate.ts';
import { StreamEndpoint } from '../streaming/stream-endpoint.ts';
import { parseLogOptions } from './log-options.ts';
import { logTarget } from './log-target.ts';
import { readLog } from './read-log.ts';

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

export interface KubeletServerOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: KubeletServerTls;
  readonly workers: { pods(): Pod[]; named(namespace: string, name: string): Pod | undefined };
  readonly statuses: StatusManager;
  readonly runtime: RuntimeService & { syncContainerLog?(id: string): Promise<void> };
  readonly runtimeName: string;
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
  const app = fastify({
    https: { cert, key, ca, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.2' },
    forceCloseConnections: true,
  });
  const closing = new AbortController();

  app.addHook('onRequest', async (request, reply) => {
    if (request.url === '/healthz') return;
    const refusal = refuse(request.raw);
    if (refusal !== undefined)
      await reply.code(refusal.status).type('text/plain').send(`${refusal.message}\n`);
  });
  app.setNotFoundHandler(async (_request, reply) => {
    await reply.code(404).type('text/plain').send('404 page not found\n');
  });
  app.get('/healthz', async (_request, reply) => {
    await reply.type('text/plain').send('ok');
  });
  const { metrics } = options;
  if (metrics !== undefined) {
    app.get('/metrics', async (_request, reply) => {
      await reply.type(metrics.contentType).send(await metrics.text());
    });
  }
  app.get('/pulls', async (_request, reply) => {
    await reply.send(options.pulls?.() ?? { pulling: [], ended: [] });
  });
  app.get('/pods', async (_request, reply) => {
    const items = options.workers
      .pods()
      .map((pod) => ({ ...pod, status: options.statuses.get(podUid(pod)) ?? pod.status }));
    await reply.send({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items });
  });
  app.get('/containerLogs/:namespace/:pod/:container', async (request, reply) => {
    await sendLog(options, request, reply, closing.signal);
    return reply;
  });

  const streams = new StreamEndpoint({
    pod: (namespace, name) => options.workers.named(namespace, name),
    runtime: options.runtime,
    address: options.podAddress ?? '127.0.0.1',
    logger: options.logger,
  });
  app.server.on('upgrade', (request, socket, head) => {
    const refusal = refuse(request);
    if (refusal === undefined) void streams.serve(request, socket, head);
    else refuseUpgrade(socket, refusal);
  });

  await app.listen({ host: options.host, port: options.port });
  const address = app.server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    close: async () => {
      closing.abort();
      streams.close();
      await app.close();
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

async function sendLog(
  options: KubeletServerOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  closing: AbortSignal,
): Promise<void> {
  const names = request.params as { namespace: string; pod: string; container: string };
  const plain = async (status: number, message: string): Promise<void> => {
    await reply.code(status).type('text/plain').send(message);
  };
  const pod = options.workers.named(names.namespace, names.pod);
  if (pod === undefined) return await plain(404, `pod "${names.pod}" does not exist`);
  if (findContainer(pod, names.container) === undefined) {
    return await plain(404, `container "${names.container}" not found in pod "${names.pod}"`);
  }
  const query = new URLSearchParams(request.url.split('?')[1] ?? '');
  const logOptions = parseLogOptions(query, Date.now());
  if (typeof logOptions === 'string') return await plain(400, logOptions);
  const status = options.statuses.get(podUid(pod)) ?? pod.status;
  const target = logTarget(names.pod, status, names.container, logOptions.previous);
  if ('message' in target) return await plain(target.status, target.message);

  const id = target.containerId.slice(`${options.runtimeName}://`.length);
  const ended = new AbortController();
  request.raw.once('close', () => ended.abort());
  const signal = AbortSignal.any([closing, ended.signal]);
  await options.runtime.syncContainerLog?.(id);
  const container = await options.runtime.containerStatus(id, signal);
  if (container === undefined) {
    return await plain(400, `unable to retrieve container logs for ${target.containerId}`);
  }
  const isRunning = async (): Promise<boolean> =>
    (await options.runtime.containerStatus(id, signal))?.state === 'running';
  const stream = Readable.from(readLog(container.logPath, logOptions, isRunning, signal));
  await reply.code(200).type('text/plain').send(stream);
}
