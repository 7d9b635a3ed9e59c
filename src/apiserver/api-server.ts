import { pullPolicyOf } from '../admission/pull-policy.ts';
import { systemClock, type Clock } from '../base/clock.ts';
import { openAuditor, type AuditOptions } from './audit/open-auditor.ts';
import { publishApiService } from './api-service.ts';
import { PolicyStatus } from './admission/policy-status.ts';
import { AdmissionChain, type AdmissionPlugin } from './admission-chain.ts';
import { staticTokens, type StaticToken } from './authentication.ts';
import { AuthorizerChain } from './authorizer.ts';
import { createBootstrapObjects } from './bootstrap/bootstrap-objects.ts';
import type { Component } from './component-status.ts';
import { choosePlugins, makePlugins } from './builtin-plugins.ts';
import { HttpListener, type ServingCertificate } from './http-listener.ts';
import { localUser } from './local-user.ts';
import { runMaintenance } from './maintenance.ts';
import { NodeAuthorizer } from './node-authorizer.ts';
import { NodeGraph } from './node-graph.ts';
import { ObjectStore } from './object-store.ts';
import { DefinitionLifecycle } from './definition-lifecycle.ts';
import { KubeletProxy, type KubeletTls } from './pod-log.ts';
import { PodSessions } from './pod-sessions.ts';
import { BackendProxy } from './proxy/backend-proxy.ts';
import { RbacAuthorizer } from './rbac-authorizer.ts';
import { noEscalation } from './rbac-escalation.ts';
import { handleRequest, type ApiLogger, type HandlerContext } from './request-handler.ts';
import { RegisteredVersions } from './registered-versions.ts';
import { ServedResources } from './served-resources.ts';
import { ServiceAccountTokens } from './service-account-tokens.ts';
import { DEFAULT_AUDIENCE } from './token-request.ts';
import type { UserInfo } from './user-info.ts';

export interface ApiServerOptions {
  /** SQLite file, made when absent; `:memory:` keeps nothing. */
  readonly databasePath: string;
  /** The subject of a client's certificate names it: CN is the user, each O a group. */
  readonly tls: ServingCertificate;
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
  /** What is recorded of requests, and where; absent: nothing. */
  readonly audit?: AuditOptions;
  /** Plugins of the caller; they run after the built-in ones that change objects. */
  readonly admissionPlugins?: readonly AdmissionPlugin[];
  /** How nodes are reached for logs; without it logs cannot be read. */
  readonly kubelet?: KubeletTls;
  /** Other parts of the control plane, for who asks how they are. */
  readonly components?: readonly Component[];
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

/**
 * Starts the embedded Kubernetes API over HTTPS. It serves as soon as the promise resolves.
 *
 * @throws StoreError `NEWER_VERSION`, and system errors such as `EADDRINUSE`
 */
export async function createApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const clock = options.clock ?? systemClock;
  const chosen = choosePlugins(options.enableAdmissionPlugins ?? [], options.disableAdmissionPlugins ?? []);
  const auditor =
    options.audit === undefined ? undefined : await openAuditor(options.audit, clock, options.logger);
  const store = new ObjectStore(options.databasePath, clock);
  const defaults = { pullPolicyOf };
  createBootstrapObjects(store, clock.now(), defaults);
  store.flush();
  const graph = new NodeGraph(store);
  const rbac = new RbacAuthorizer(store);
  const served = new ServedResources(store);
  const definitions = new DefinitionLifecycle(store, clock);
  const policies = new PolicyStatus(store, served);
  const versions = new RegisteredVersions(store, clock, served, defaults);
  const tokens = new ServiceAccountTokens({
    signingKey: options.serviceAccountSigningKey,
    issuer: options.serviceAccountIssuer ?? DEFAULT_AUDIENCE,
    lookup: (resource, namespace, name) => store.get({ resource, namespace, name })?.object,
    clock,
  });
  const kubelets = new KubeletProxy(options.kubelet);
  const sessions = new PodSessions(options.kubelet);
  let plainPort: number | undefined;
  const backends = new BackendProxy(kubelets, () => (plainPort === undefined ? [] : [plainPort]));
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
    admission: new AdmissionChain([
      ...plugins.all,
      ...(options.admissionPlugins ?? []),
      noEscalation(rbac, authorizer),
    ]),
    tokens,
    rbac,
    served,
    components: options.components ?? [],
    authorizer,
    authenticators: [
      staticTokens(options.tokens ?? []),
      (token) => tokens.authenticate(token, [DEFAULT_AUDIENCE]),
    ],
    kubelets,
    sessions,
    backends,
    logger: options.logger,
    ...(auditor === undefined ? {} : { auditor }),
    failing: () => [],
  };
  const ending = new AbortController();
  const maintenance = runMaintenance({ store, clock, logger: options.logger }, ending.signal);
  const listenerOf = (served: HandlerContext, tls?: ServingCertificate): HttpListener =>
    new HttpListener(
      (request, response, upgrade) => void handleRequest(served, request, response, upgrade),
      tls,
    );
  const secure = listenerOf(context, options.tls);
  const plain =
    options.plain === undefined
      ? undefined
      : listenerOf({ ...context, withoutCredentials: localUser(options.plain.user) });
  const close = async (): Promise<void> => {
    ending.abort();
    sessions.close();
    await Promise.all([secure.close(), plain?.close()]);
    await maintenance;
    await Promise.all([kubelets.close(), backends.close()]);
    await plugins.close();
    graph.close();
    rbac.close();
    definitions.close();
    policies.close();
    versions.close();
    auditor?.close();
    served.close();
    store.close();
  };
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  try {
    const port = await secure.listen(options.host, options.port);
    publishApiService(store, clock.now(), options.host, port);
    plainPort = await plain?.listen(options.host, options.plain?.port ?? 0);
    return {
      url: `https://${host}:${port}`,
      port,
      ...(plainPort === undefined ? {} : { plainUrl: `http://${host}:${plainPort}` }),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
