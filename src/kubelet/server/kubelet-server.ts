import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { messageOf } from '../../base/coded-error.ts';
import { https } from '../../base/node-http.ts';
import type { Pod } from '../../kube/pod.ts';
import type { Logger } from '../../observe/logger.ts';
import { podUid } from '../pod-reference.ts';
import type { StreamEndpoint } from '../streaming/stream-endpoint.ts';
import { answerRequest, type EndpointRoute, type EndpointTarget } from './answer-request.ts';
import { containerLog, type ContainerLogSources } from './container-log.ts';
import { json, plainText, type EndpointAnswer } from './endpoint-answer.ts';
import { listen, type ListeningServer } from './listening-server.ts';
import { tellingRoute, type NodeTale } from './telling-routes.ts';

/** What everybody may ask. */
const HEALTH = '/healthz';

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

export interface KubeletServerOptions extends ContainerLogSources, NodeTale {
  readonly host: string;
  readonly port: number;
  readonly tls: KubeletServerTls;
  readonly workers: ContainerLogSources['workers'] & { pods(): Pod[] };
  /** Where Pods have their ports; this machine when absent. */
  readonly podAddress?: string;
  readonly logger: Logger;
}

/** Serves what the API server asks of a node: logs, sessions, Pods, health. Everything but health needs a client certificate. */
export async function startKubeletServer(options: KubeletServerOptions): Promise<ListeningServer> {
  const { cert, key, ca } = options.tls;
  const { logger } = options;
  const closing = new AbortController();
  const server = https.createServer(
    { cert, key, ca, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.2' },
    (request, response) => {
      const find = (target: EndpointTarget): EndpointRoute | EndpointAnswer | undefined => {
        const refusal = target.path === HEALTH ? undefined : refuse(request);
        return refusal === undefined
          ? routeOf(options, target)
          : plainText(refusal.status, `${refusal.message}\n`);
      };
      void answerRequest(request, response, find, { logger, closing: closing.signal });
    },
  );
  const sessions = sessionsOf(options);
  server.on('upgrade', (request, socket, head) => {
    sessions.serve(request, socket, head).catch((error: unknown) => {
      logger.error({ error: messageOf(error) }, 'a session cannot begin');
      socket.destroy();
    });
  });
  return await listen(server, options, () => {
    closing.abort(new Error('the node agent stops'));
    sessions.close();
  });
}

function routeOf(options: KubeletServerOptions, { path, query }: EndpointTarget): EndpointRoute | undefined {
  if (path === '/pods') return async () => json(podList(options));
  const log = /^\/containerLogs\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(path);
  if (log === null) return tellingRoute(options, path);
  // Names of objects have no letter that an address must escape.
  const [, namespace = '', pod = '', container = ''] = log;
  return (signal) => containerLog(options, { namespace, pod, container, query }, signal);
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
