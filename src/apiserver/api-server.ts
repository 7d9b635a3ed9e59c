import type { Server, ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import Fastify, { type FastifyInstance } from 'fastify';
import { pullPolicyOf } from '../admission/pull-policy.ts';
import { systemClock, type Clock } from '../base/clock.ts';
import { PolicyStatus } from './admission/policy-status.ts';
import { AdmissionChain, type AdmissionPlugin } from './admission-chain.ts';
import { staticTokens, type StaticToken } from './authentication.ts';
import { AuthorizerChain } from './authorizer.ts';
import { createBootstrapObjects } from './bootstrap-objects.ts';
import { choosePlugins, makePlugins } from './builtin-plugins.ts';
import { localUser } from './local-user.ts';
import { runMaintenance } from './maintenance.ts';
import { NodeAuthorizer } from './node-authorizer.ts';
import { NodeGraph } from './node-graph.ts';
import { ObjectStore } from './object-store.ts';
import { DefinitionLifecycle } from './definition-lifecycle.ts';
import { KubeletProxy, type KubeletTls } from './pod-log.ts';
import { RbacAuthorizer } from './rbac-authorizer.ts';
import { handleRequest, type ApiLogger, type HandlerContext } from './request-handler.ts';
import { ServedResources } from './served-resources.ts';
import { ServiceAccountTokens } from './service-account-tokens.ts';
import { DEFAULT_AUDIENCE } from './token-request.ts';
import type { UserInfo } from './user-info.ts';

export interface ApiServerOptions {
  /** SQLite file, made when absent; `:memory:` keeps nothing. */
  readonly databasePath: string;
  /** PEM. `clientCa` signs the certificates of clients: subject CN is the user, each O a group. */
  readonly tls: { readonly key: string; readonly cert: string; readonly clientCa: string };
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /**
   * Serves the same without TLS on a port of the same host (0 for any), which must be IPv4 loopback: processes of this
   * process's user, and of root, act as `user` there; others are nobody, unless they bring a token.
   */
  readonly plain?: { readonly port: number; readonly user: UserInfo };
  readonly clock?: Clock;
  /** Users with a fixed bearer token. */
  readonly tokens?: readonly StaticToken[];
  /** PEM of a P-256 or RSA private key. */
  readonly serviceAccountSigningKey: string;
  readonly serviceAccountIssuer?: string;
  /** Built-in plugins to switch on, by name; those that are on by default need not be named. */
  readonly enableAdmissionPlugins?: readonly string[];
  readonly disableAdmissionPlugins?: readonly string[];
  /** The kube-apiserver's admission control configuration; needed by `ImagePolicyWebhook`. */
  readonly admissionControlConfigFile?: string;
  /** Plugins of the caller; they run after the built-in ones that change objects. */
  readonly admissionPlugins?: readonly AdmissionPlugin[];
  /** How nodes are reached for logs; without it logs cannot be read. */
  readonly kubelet?: KubeletTls;
  readonly logger?: ApiLogger;
}

export interface ApiServer {
  /** `https://HOST:PORT` */
  readonly url: string;
  readonly port: number;
  /** `http://HOST:PORT`, where asked for. */
  readonly plainUrl?: string;
  /** Ends watches, waits for writes under way and closes the database. */
  close(): Promise<void>;
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/**
 * Starts the embedded Kubernetes API over HTTPS. It serves as soon as the promise resolves.
 *
 * @throws StoreError `NEWER_VERSION`, and system errors such as `EADDRINUSE`
 */
export async function createApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const clock = options.clock ?? systemClock;
  const chosen = choosePlugins(options.enableAdmissionPlugins ?? [], options.disableAdmissionPlugins ?? []);
  const store = new ObjectStore(options.databasePath, clock);
  const defaults = { pullPolicyOf };
  createBootstrapObjects(store, clock.now(), defaults);
  store.flush();
  const graph = new NodeGraph(store);
  const rbac = new RbacAuthorizer(store);
  const served = new ServedResources(store);
  const definitions = new DefinitionLifecycle(store, clock);
  const policies = new PolicyStatus(store, served);
  const tokens = new ServiceAccountTokens({
    signingKey: options.serviceAccountSigningKey,
    issuer: options.serviceAccountIssuer ?? DEFAULT_AUDIENCE,
    lookup: (resource, namespace, name) => store.get({ resource, namespace, name })?.object,
    clock,
  });
  const kubelets = new KubeletProxy(options.kubelet);
  const authorizer = new AuthorizerChain([new NodeAuthorizer(graph), rbac]);
  const configFile = options.admissionControlConfigFile;
  const plugins = await makePlugins(chosen, {
    store,
    clock,
    served,
    authorizer,
    defaults,
    ...(configFile === undefined ? {} : { configFile }),
    onIgnored: (webhook, why) => options.logger?.info({ webhook, why }, 'Passed over a failed webhook'),
  }).catch((error: unknown) => {
    store.close();
    throw error;
  });
  const context: HandlerContext = {
    store,
    clock,
    defaults,
    admission: new AdmissionChain([...plugins.all, ...(options.admissionPlugins ?? [])]),
    tokens,
    rbac,
    served,
    authorizer,
    authenticators: [
      staticTokens(options.tokens ?? []),
      (token) => tokens.authenticate(token, [DEFAULT_AUDIENCE]),
    ],
    kubelets,
    logger: options.logger,
    failing: () => [],
  };
  const ending = new AbortController();
  const maintenance = runMaintenance({ store, clock, logger: options.logger }, ending.signal);
  const { key, cert, clientCa } = options.tls;
  // A certificate is not needed to connect: clients may bring a token, and health checks nothing at all.
  const https = {
    key,
    cert,
    ca: clientCa,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
  } as const;
  const app = createHttp(context, https);
  const plain =
    options.plain === undefined
      ? undefined
      : createHttp({ ...context, withoutCredentials: localUser(options.plain.user) });
  const close = async (): Promise<void> => {
    ending.abort();
    await Promise.all([app.close(), plain?.close()]);
    await maintenance;
    await kubelets.close();
    await plugins.close();
    graph.close();
    rbac.close();
    definitions.close();
    policies.close();
    served.close();
    store.close();
  };
  try {
    await app.listen({ host: options.host, port: options.port });
    if (plain !== undefined) await plain.listen({ host: options.host, port: options.plain?.port ?? 0 });
  } catch (error) {
    await close();
    throw error;
  }
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  const { port } = app.server.address() as AddressInfo;
  return {
    url: `https://${host}:${port}`,
    port,
    ...(plain === undefined
      ? {}
      : { plainUrl: `http://${host}:${(plain.server.address() as AddressInfo).port}` }),
    close,
  };
}

type HttpsApp = FastifyInstance<Server>;

function createHttp(context: HandlerContext, https?: ServerOptions): HttpsApp {
  const app = Fastify({
    ...(https === undefined ? {} : { https }),
    logger: false,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 64 * 1024 },
    // Addresses that the router cannot decode are answered like any other by our own parser.
    frameworkErrors: (_error, request, reply) => {
      reply.hijack();
      void handleRequest(context, request.raw, reply.raw);
    },
  }) as unknown as HttpsApp;
  // Bodies stay streams: they are counted while they are read, and only by those who want one.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => {
    done(null, undefined);
  });
  app.route({
    method: METHODS,
    url: '/*',
    handler: (request, reply) => {
      reply.hijack();
      return handleRequest(context, request.raw, reply.raw);
    },
  });
  return app;
}
