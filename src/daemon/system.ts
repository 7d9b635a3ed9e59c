import { hostname } from 'node:os';
import { join } from 'node:path';
import { startControllers } from '../controllers/start-controllers.ts';
import { createApiServer, type ApiServer } from '../apiserver/api-server.ts';
import type { AuditOptions } from '../apiserver/audit/open-auditor.ts';
import { HttpKubeClient } from '../kube/client/http-kube-client.ts';
import type { Logger } from '../observe/logger.ts';
import { SYSTEM_CONTEXT, writeKubeconfig } from './kubeconfig.ts';
import { PortBook } from './listen-ports.ts';
import { LOCAL_NAMES } from './node-access.ts';
import type { NodeAgent } from './node-agent.ts';
import { Pki } from './pki.ts';
import { writePlainKubeconfig } from './plain-access.ts';
import { startRegistryService, trustRegistry, type RegistryService } from './registry-service.ts';
import { openSigningKey } from './signing-key.ts';
import type { StateRoot } from './state-root.ts';
import { startNodes, type NodeSettings, type NodeSpec } from './system-nodes.ts';
import { volumeDirectories } from './volume-directories.ts';

/** Ports that people expect: kube-apiserver's and the docker registry's. */
const USUAL_API_PORT = 6443;
const USUAL_REGISTRY_PORT = 5000;

export interface SystemOptions {
  readonly root: StateRoot;
  /** 0 takes any; absent: that of last time, else the usual one. */
  readonly apiPort?: number;
  readonly registryPort?: number;
  /** Serves the API on this port of 127.0.0.1 without TLS too, to processes of the same user, as administrator. */
  readonly plainApiPort?: number;
  readonly admissionPlugins: readonly string[];
  readonly disabledAdmissionPlugins?: readonly string[];
  /** The kube-apiserver's admission control configuration. */
  readonly admissionControlConfigFile?: string;
  /** Which requests to the API are recorded, and where. */
  readonly audit?: AuditOptions;
  /** What a kubelet's configuration says of images, eviction and credential providers. */
  readonly node?: NodeSettings;
  /** Nodes beside the machine's own. */
  readonly moreNodes?: readonly NodeSpec[];
  readonly logger: Logger;
  /** Told what the user should know: a port that was taken, a runtime that cannot be used. */
  readonly remark: (text: string) => void;
}

/** Everything that `dray up` runs, wired together. */
export interface System {
  readonly rootPath: string;
  readonly api: ApiServer;
  readonly kubeconfig: string;
  readonly registry: RegistryService;
  readonly caFile: string;
  /** Directory with the authority of the registry, as `--cert-dir` of skopeo, podman and buildah wants it. */
  readonly certsDirectory: string;
  /** Speaks to the API as the administrator, over HTTP like everybody else. */
  readonly client: HttpKubeClient;
  readonly nodes: readonly NodeAgent[];
  /** Stops serving, nodes first; containers go on. */
  close(): Promise<void>;
}

/**
 * Starts API server, registry, controllers and node of one machine; what was started is stopped again when a part fails.
 *
 * @throws PortError, and whatever a part says
 */
export async function startSystem(options: SystemOptions, signal: AbortSignal): Promise<System> {
  const stop = new AbortController();
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    stop.abort(new Error('the system is stopping'));
    for (const each of closers.reverse().splice(0)) await each();
  };
  try {
    return await start(options, closers, close, AbortSignal.any([signal, stop.signal]));
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(
  options: SystemOptions,
  closers: (() => Promise<void>)[],
  close: () => Promise<void>,
  signal: AbortSignal,
): Promise<System> {
  const { root, logger, remark } = options;
  const machine = hostname().toLowerCase();
  const ports = await PortBook.open(join(root.path, 'ports.json'));
  const apiPort = await ports.choose('api', USUAL_API_PORT, options.apiPort);
  const registryPort = await ports.choose('registry', USUAL_REGISTRY_PORT, options.registryPort);
  for (const chosen of [apiPort, registryPort]) if (chosen.remark !== undefined) remark(chosen.remark);

  const pki = await Pki.open(join(root.path, 'pki'));
  const names = [...new Set([...LOCAL_NAMES, machine])];
  const serverNames = [
    ...names,
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'kubernetes.default.svc.cluster.local',
  ];
  const apiCertificate = await pki.issue({
    file: 'apiserver',
    commonName: 'kube-apiserver',
    usage: 'server',
    names: serverNames,
  });
  const registryCertificate = await pki.issue({
    file: 'registry',
    commonName: 'registry',
    usage: 'server',
    names,
  });
  const administrator = await pki.issue({
    file: 'admin',
    commonName: 'kubernetes-admin',
    organization: 'system:masters',
    usage: 'client',
  });
  const manager = await pki.issue({
    file: 'controllers',
    commonName: 'system:kube-controller-manager',
    organization: 'system:masters',
    usage: 'client',
  });
  const kubeletClient = await pki.issue({
    file: 'apiserver-kubelet-client',
    commonName: 'kube-apiserver-kubelet-client',
    organization: 'system:masters',
    usage: 'client',
  });

  const [api, registry] = await Promise.all([
    createApiServer({
      databasePath: join(root.path, 'api.db'),
      tls: { key: apiCertificate.key, cert: apiCertificate.cert, clientCa: pki.ca.cert },
      host: '127.0.0.1',
      port: apiPort.port,
      ...(options.plainApiPort === undefined
        ? {}
        : {
            plain: {
              port: options.plainApiPort,
              user: { name: 'kubernetes-admin', groups: ['system:masters', 'system:authenticated'] },
            },
          }),
      serviceAccountSigningKey: await openSigningKey(join(root.path, 'pki', 'sa.key')),
      enableAdmissionPlugins: options.admissionPlugins,
      disableAdmissionPlugins: options.disabledAdmissionPlugins ?? [],
      ...(options.audit === undefined ? {} : { audit: options.audit }),
      ...(options.admissionControlConfigFile === undefined
        ? {}
        : { admissionControlConfigFile: options.admissionControlConfigFile }),
      kubelet: { ca: pki.ca.cert, cert: kubeletClient.cert, key: kubeletClient.key },
      components: ['controller-manager', 'scheduler'].map((name) => ({
        name,
        // They live in this process, and end with it.
        check: () => signal.throwIfAborted(),
      })),

      logger: logger.child({ part: 'apiserver' }),
    }).then((started) => {
      closers.push(() => started.close());
      return started;
    }),
    startRegistryService({
      directory: join(root.path, 'registry'),
      port: registryPort.port,
      tls: registryCertificate,
      logger: logger.child({ part: 'registry' }),
      kubeconfig: join(root.path, 'kubeconfig'),
    }).then((started) => {
      closers.push(() => started.registry.close());
      return started;
    }),
  ]);
  await ports.remember('api', api.port);
  await ports.remember('registry', registry.registry.port);

  const kubeconfig = join(root.path, 'kubeconfig');
  await writeKubeconfig(kubeconfig, {
    name: SYSTEM_CONTEXT,
    server: api.url,
    ca: pki.ca.cert,
    user: administrator,
  });
  await writePlainKubeconfig(root.path, api.plainUrl);
  const clientFor = (user: { cert: string; key: string }, userAgent: string): HttpKubeClient => {
    const client = new HttpKubeClient({
      server: api.url,
      ca: pki.ca.cert,
      cert: user.cert,
      key: user.key,
      userAgent,
    });
    closers.push(() => client.close());
    return client;
  };
  startControllers(
    clientFor(manager, 'drayage-controllers'),
    {
      rootCa: pki.ca.cert,
      clientAuthority: pki.ca,
      directories: volumeDirectories(join(root.path, 'volumes')),
      logger: logger.child({ part: 'controllers' }),
    },
    signal,
  );

  const registryHosts = names.map(
    (name) => `${name.includes(':') ? `[${name}]` : name}:${registry.registry.port}`,
  );
  await trustRegistry(join(root.path, 'certs.d'), registryHosts, pki.ca.cert);
  const nodes = await startNodes(
    {
      root: root.path,
      pki,
      server: api.url,
      settings: options.node ?? {},
      specs: [{ name: machine }, ...(options.moreNodes ?? [])],
      opened: (closer) => closers.push(closer),
      logger: logger.child({ part: 'node' }),
      remark,
    },
    signal,
  );
  return {
    rootPath: root.path,
    api,
    kubeconfig,
    registry,
    caFile: pki.caFile,
    certsDirectory: join(root.path, 'certs.d', registry.host),
    client: clientFor(administrator, 'dray'),
    nodes,
    close,
  };
}
