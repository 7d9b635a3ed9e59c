import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApiServer, type ApiServer } from '../../src/apiserver/api-server.ts';
import { systemClock, type Clock } from '../../src/base/clock.ts';
import { startControllers } from '../../src/controllers/start-controllers.ts';
import { containerImageLookup } from '../../src/daemon/container-image-lookup.ts';
import { volumeDirectories } from '../../src/daemon/volume-directories.ts';
import { openNodeStores, type NodeStores } from '../../src/daemon/node-stores.ts';
import { Pki } from '../../src/daemon/pki.ts';
import { openSigningKey } from '../../src/daemon/signing-key.ts';
import { HttpKubeClient } from '../../src/kube/client/http-kube-client.ts';
import { createInformer } from '../../src/kube/client/informer.ts';
import type { ResourceType } from '../../src/kube/client/kube-client.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import type { Pod } from '../../src/kube/pod.ts';
import { findKind } from '../../src/kube/resources.ts';
import type { Kubelet } from '../../src/kubelet/start-kubelet.ts';
import type { ImageSettings } from '../../src/kubelet/images/settings.ts';
import type { NodeMetrics } from '../../src/kubelet/images/node-metrics.ts';
import { EVENTS } from '../../src/kubelet/event-recorder.ts';
import { PODS } from '../../src/kubelet/status-manager.ts';
import { silentLogger, type Logger } from '../../src/observe/logger.ts';
import type { LocalRuntime } from '../../src/runtime/local-runtime.ts';
import { CopyRootfs, makeTinyRoot, oneImage } from '../../src/runtime/_tiny-root.ts';
import type { ImageRunConfig } from '../../src/runtime/container-image.ts';
import { MemoryRuntime } from '../../src/kubelet/images/_manager-fixture.ts';
import type { Image } from '../../src/pull/image-service.ts';
import type { Platform } from '../../src/oci/platform.ts';
import { hostPlatform } from '../../src/oci/host-platform.ts';
import { startAgent, type TestAgent } from './agent.ts';

/* A whole cluster in one process: real API server, controllers and node agent, real containers; images are made up unless asked for. */

export const NODE = 'n1';
const SECOND_NODE = 'n2';
const ADMIN = 'admin-token';

export interface NodeSystem {
  readonly client: HttpKubeClient;
  readonly api: ApiServer;
  /** The image service of made-up images. */
  readonly images: MemoryRuntime;
  /** The stores of real images; only with `realImages`. */
  readonly stores: () => NodeStores;
  readonly root: string;
  /** A kubeconfig file of the administrator. */
  readonly kubeconfig: string;
  readonly runtime: () => LocalRuntime;
  readonly kubelet: () => Kubelet;
  /** What the agent has warned of. */
  readonly warnings: readonly string[];
  readonly signal: AbortSignal;
  create<T extends KubeObject>(object: Partial<T> & { kind: string }): Promise<T>;
  createPod(
    name: string,
    spec: Partial<Pod['spec']> & { containers: Pod['spec']['containers'] },
  ): Promise<Pod>;
  pod(name: string): Promise<Pod | undefined>;
  /** Waits until the newest version of a Pod (undefined once it is gone) fulfils a condition, and returns it. */
  until(name: string, what: string, holds: (pod: Pod | undefined) => boolean): Promise<Pod | undefined>;
  /** Every different status that the API server has shown of a Pod, in order. */
  statuses(name: string): Pod[];
  /** `type reason message` of a Pod's events in the order of their first appearance, with counts. */
  events(name: string): Promise<{ line: string; count: number; fieldPath: string | undefined }[]>;
  /** Starts a second node beside the first, with stores of its own; it goes with the system. */
  addNode(platform: Platform): Promise<{ name: string; stores: NodeStores }>;
  startKubelet(): Promise<void>;
  stopKubelet(): Promise<void>;
  logs(name: string, query?: string): Promise<{ status: number; text: string }>;
}

export interface NodeSystemOptions {
  /** Pulls, unpacks and mounts images from registries instead of making them up. */
  readonly realImages?: boolean;
  readonly image?: ImageRunConfig;
  readonly clock?: Clock;
  readonly launcher?: 'runc' | 'unshare';
  readonly imageSettings?: Partial<ImageSettings>;
  readonly evictionHard?: Readonly<Record<string, string>>;
  readonly evictionTransitionPeriod?: number;
  /** Directory below which all state is made; the system's temporary one when absent. */
  readonly base?: string;
  readonly maxPods?: number;
  readonly staticPods?: string;
  readonly metrics?: NodeMetrics;
  /** The node's endpoint has a certificate of an authority of its own, which the node names or does not. */
  readonly ownAuthority?: 'named' | 'unnamed';
}

/** Starts it, hands it to `use`, and takes everything away again. */
export async function withNodeSystem(
  options: NodeSystemOptions,
  use: (system: NodeSystem) => Promise<void>,
): Promise<void> {
  const root = await mkdtemp(join(options.base ?? tmpdir(), 'drayage-node-'));
  await mkdir(join(root, 'rootfs'));
  const ending = new AbortController();
  const signal = AbortSignal.any([ending.signal, AbortSignal.timeout(240_000)]);
  const tiny = await makeTinyRoot();
  const pki = await Pki.open(join(root, 'pki'));
  const serving = await pki.issue({ file: 'api', commonName: 'api', usage: 'server', names: ['127.0.0.1'] });
  const nodeCert = await pki.issue({ file: 'node', commonName: NODE, usage: 'server', names: ['127.0.0.1'] });
  const apiClient = await pki.issue({
    file: 'api-kubelet',
    commonName: 'api',
    organization: 'system:masters',
    usage: 'client',
  });
  const api = await createApiServer({
    databasePath: ':memory:',
    tls: { ...serving, clientCa: pki.ca.cert },
    host: '127.0.0.1',
    port: 0,
    tokens: [
      {
        token: ADMIN,
        user: { name: 'admin', uid: '', groups: ['system:masters', 'system:authenticated'], extra: {} },
      },
      ...[NODE, SECOND_NODE].map((name) => ({
        token: `${name}-token`,
        user: {
          name: `system:node:${name}`,
          uid: '',
          groups: ['system:nodes', 'system:authenticated'],
          extra: {},
        },
      })),
    ],
    serviceAccountSigningKey: await openSigningKey(join(root, 'sa.key')),
    kubelet: { ca: pki.ca.cert, ...apiClient },
  });
  const client = new HttpKubeClient({ server: api.url, ca: pki.ca.cert, token: ADMIN });
  const nodeClient = new HttpKubeClient({ server: api.url, ca: pki.ca.cert, token: `${NODE}-token` });
  const clock = options.clock ?? systemClock;
  const images = new MemoryRuntime();
  images.onPull = async (spec) => Promise.resolve(tinyImage(spec.image));
  const stores =
    options.realImages === true
      ? await openNodeStores({ root: join(root, 'stores'), hostRoots: [], logger: silentLogger })
      : undefined;
  const nodeTls = { ...nodeCert, ca: pki.ca.cert, ...(await ownAuthority(options, root)) };
  const closers: (() => Promise<void>)[] = [];
  const warnings: string[] = [];
  const warn = (fields: object, message: string): void =>
    void warnings.push(`${message} ${JSON.stringify(fields)}`);
  const logger: Logger = { ...silentLogger, warn, error: warn };

  let agent: TestAgent | undefined;
  const startKubeletHere = async (): Promise<void> => {
    agent = await startAgent(
      {
        name: NODE,
        root,
        platform: hostPlatform(),
        client: nodeClient,
        tls: nodeTls,
        images: stores?.imageService ?? images,
        rootfs: stores?.rootfs ?? new CopyRootfs(tiny, join(root, 'rootfs')),
        lookup:
          stores === undefined
            ? oneImage(options.image ?? {})
            : containerImageLookup(stores.images, stores.content),
        clock,
        logger,
        ...(options.launcher === undefined ? {} : { launcher: options.launcher }),
        ...(options.imageSettings === undefined ? {} : { imageSettings: options.imageSettings }),
        ...(options.evictionHard === undefined ? {} : { evictionHard: options.evictionHard }),
        ...(options.evictionTransitionPeriod === undefined
          ? {}
          : { evictionTransitionPeriod: options.evictionTransitionPeriod }),
        ...(options.maxPods === undefined ? {} : { maxPods: options.maxPods }),
        ...(options.staticPods === undefined ? {} : { staticPods: options.staticPods }),
        ...(options.metrics === undefined ? {} : { metrics: options.metrics }),
      },
      signal,
    );
  };
  const stopKubelet = async (): Promise<void> => {
    await agent?.stop();
    agent = undefined;
  };

  const kubeconfig = join(root, 'kubeconfig');
  const certificate = Buffer.from(pki.ca.cert).toString('base64');
  await writeFile(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'test',
      clusters: [{ name: 'test', cluster: { server: api.url, 'certificate-authority-data': certificate } }],
      users: [{ name: 'admin', user: { token: ADMIN } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
    }),
    { mode: 0o600 },
  );

  const history: Pod[] = [];
  const watchers = new Set<() => void>();
  const informer = createInformer<Pod>(client, PODS, {}, signal);
  informer.onChange(({ type, object }) => {
    if (type !== 'deleted') history.push(structuredClone(object));
    for (const wake of watchers) wake();
  });

  try {
    const controllers = startControllers(
      client,
      { rootCa: pki.ca.cert, directories: volumeDirectories(join(root, 'volumes')) },
      signal,
    );
    await controllers.ready();
    await startKubeletHere();
    await serviceAccountIsThere(client, signal);
    const system: NodeSystem = {
      client,
      api,
      images,
      root,
      kubeconfig,
      signal,
      warnings,
      stores: () => must(stores, 'there are no real images'),
      runtime: () => must(agent).runtime,
      kubelet: () => must(agent).kubelet,
      create: async <T extends KubeObject>(object: Partial<T> & { kind: string }): Promise<T> => {
        const full = {
          apiVersion: 'v1',
          ...object,
          metadata: { namespace: 'default', ...object.metadata },
        } as unknown as T;
        return await client.create<T>(typeOf(full), full, signal);
      },
      createPod: async (name, spec) =>
        await client.create<Pod>(
          PODS,
          {
            apiVersion: 'v1',
            kind: 'Pod',
            metadata: { name, namespace: 'default' },
            spec: { terminationGracePeriodSeconds: 1, ...spec },
          },
          signal,
        ),
      pod: async (name) => Promise.resolve(informer.get('default', name)),
      until: async (name, what, holds) => {
        const deadline = AbortSignal.timeout(60_000);
        for (;;) {
          const pod = informer.get('default', name);
          if (holds(pod)) return pod;
          if (deadline.aborted || signal.aborted) {
            const events = await system.events(name);
            throw new Error(
              `Pod ${name} never became ${what}: ${JSON.stringify(pod?.status, undefined, 1)} ${JSON.stringify(events, undefined, 1)}`,
            );
          }
          await new Promise<void>((resolve) => {
            const timer = setTimeout(done, 1000);
            function done(): void {
              clearTimeout(timer);
              watchers.delete(done);
              resolve();
            }
            watchers.add(done);
          });
        }
      },
      statuses: (name) => history.filter((pod) => pod.metadata.name === name),
      events: async (name) => {
        await agent?.recorder.flush();
        const list = await client.list<KubeObject & Record<string, unknown>>(
          EVENTS,
          { namespace: 'default', fieldSelector: `involvedObject.name=${name}` },
          signal,
        );
        return list.items
          .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
          .map((event) => ({
            line: `${String(event['type'])} ${String(event['reason'])} ${String(event['message'])}`,
            count: Number(event['count'] ?? 1),
            fieldPath: (event['involvedObject'] as { fieldPath?: string }).fieldPath,
          }));
      },
      addNode: async (platform) => {
        const own = join(root, SECOND_NODE);
        await mkdir(own);
        const ownClient = new HttpKubeClient({
          server: api.url,
          ca: pki.ca.cert,
          token: `${SECOND_NODE}-token`,
        });
        const ownStores = await openNodeStores({
          root: join(own, 'stores'),
          hostRoots: [],
          platform,
          logger: silentLogger,
        });
        const second = await startAgent(
          {
            name: SECOND_NODE,
            root: own,
            platform,
            client: ownClient,
            tls: nodeTls,
            images: ownStores.imageService,
            rootfs: ownStores.rootfs,
            lookup: containerImageLookup(ownStores.images, ownStores.content),
            clock,
            logger,
            ...(options.launcher === undefined ? {} : { launcher: options.launcher }),
          },
          signal,
        );
        closers.push(async () => {
          await second.destroy();
          await ownStores.close();
          await ownClient.close();
        });
        return { name: SECOND_NODE, stores: ownStores };
      },
      startKubelet: startKubeletHere,
      stopKubelet,
      logs: async (name, query = '') => {
        const response = await rawGet(
          api,
          pki.ca.cert,
          `/api/v1/namespaces/default/pods/${name}/log${query}`,
        );
        return response;
      },
    };
    await use(system);
  } finally {
    await agent?.destroy();
    for (const close of closers) await close();
    ending.abort();
    await stores?.close();
    await nodeClient.close();
    await client.close();
    await api.close();
    await rm(tiny, { recursive: true, force: true });
    await rm(root, { recursive: true, force: true });
  }
}

export function tinyImage(name: string): Image {
  return {
    id: `sha256:${'a'.repeat(64)}`,
    repoTags: [name],
    repoDigests: [`registry.example/tiny@sha256:${'b'.repeat(64)}`],
    size: 1_032_727,
    pinned: false,
  };
}

async function rawGet(api: ApiServer, ca: string, path: string): Promise<{ status: number; text: string }> {
  const { request } = await import('node:https');
  return await new Promise((resolve, reject) => {
    const call = request(
      `${api.url}${path}`,
      { ca, headers: { authorization: `Bearer ${ADMIN}` } },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
        );
      },
    );
    call.once('error', reject);
    call.end();
  });
}

function typeOf(object: KubeObject): ResourceType {
  const info = findKind(object.apiVersion, object.kind);
  if (info === undefined) throw new Error(`no resource for ${object.kind}`);
  return info;
}

async function serviceAccountIsThere(client: HttpKubeClient, signal: AbortSignal): Promise<void> {
  const type = typeOf({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: '' } });
  const maps = typeOf({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: '' } });
  const accounts = createInformer(client, type, { namespace: 'default' }, signal);
  const configMaps = createInformer(client, maps, { namespace: 'default' }, signal);
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (accounts.get('default', 'default') === undefined) return;
      if (configMaps.get('default', 'kube-root-ca.crt') !== undefined) resolve();
    };
    accounts.onChange(look);
    configMaps.onChange(look);
  });
}

function must<T>(value: T | undefined, otherwise = 'the node agent is not running'): T {
  if (value === undefined) throw new Error(otherwise);
  return value;
}

async function ownAuthority(
  { ownAuthority: own }: NodeSystemOptions,
  root: string,
): Promise<{ cert: string; key: string; authority?: string } | object> {
  if (own === undefined) return {};
  const pki = await Pki.open(join(root, 'own-pki'));
  const serving = await pki.issue({ file: 'own', commonName: NODE, usage: 'server', names: ['127.0.0.1'] });
  return { ...serving, ...(own === 'named' ? { authority: pki.ca.cert } : {}) };
}
