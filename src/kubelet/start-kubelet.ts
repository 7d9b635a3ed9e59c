import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock, type Clock } from '../base/clock.ts';
import { messageOf } from '../base/coded-error.ts';
import { createInformer } from '../kube/client/informer.ts';
import type { KubeClient } from '../kube/client/kube-client.ts';
import type { Pod } from '../kube/pod.ts';
import { silentLogger, type Logger } from '../observe/logger.ts';
import type { Platform } from '../oci/platform.ts';
import type { ImageService } from '../pull/image-service.ts';
import type { RuntimeService } from '../runtime/runtime-service.ts';
import { ContainerBackoff } from './container-backoff.ts';
import { ContainerStarter } from './container-starter.ts';
import type { EventRecorder, ImageManager } from './ensure-image.ts';
import { HookRunner } from './lifecycle-hooks.ts';
import { readMachineFacts } from './node/machine-facts.ts';
import { NodeAgent } from './node/node-agent.ts';
import { imagesInUse } from './images-in-use.ts';
import type { EvictionThreshold } from './images/eviction-thresholds.ts';
import { ImageGarbageCollector } from './images/image-gc.ts';
import type { ImageGcPolicy } from './images/image-gc-policy.ts';
import { imageFilesystemStats } from './images/image-filesystem.ts';
import type { NodeMetrics } from './images/node-metrics.ts';
import { IMAGE_LIST_PERIOD, readNodeImages } from './images/read-node-images.ts';
import { DEFAULT_MAX_IMAGES, type NodeImage } from './node/node-images.ts';
import { NodePressure } from './node/node-pressure.ts';
import { observeResources } from './node/observe-resources.ts';
import type { NodeFacts } from './node/node-object.ts';
import { apiObjects, type ObjectSource } from './object-source.ts';
import { removeOrphans } from './orphans.ts';
import { PodKiller } from './pod-killer.ts';
import { PodPaths } from './pod-paths.ts';
import { podEventObject, podUid } from './pod-reference.ts';
import { PodSyncer } from './pod-syncer.ts';
import { PodWorkers } from './pod-workers.ts';
import { ProbeManager } from './probes/probe-manager.ts';
import { PodPullSecrets } from './pull-secrets-of-pod.ts';
import { ReasonCache } from './reason-cache.ts';
import { startKubeletServer, type KubeletServerTls } from './server/kubelet-server.ts';
import { LogRotation } from './log-rotation.ts';
import { PODS, StatusManager } from './status-manager.ts';
import { TerminationMessages } from './termination-message.ts';
import { ServiceAccountTokens } from './volumes/service-account-tokens.ts';
import { VolumeManager } from './volumes/volume-manager.ts';

/** Removes no image by itself (rule 11.6: 100 per cent and no age switch clean-up off). */
const KEEP_IMAGES: ImageGcPolicy = {
  highThresholdPercent: 100,
  lowThresholdPercent: 100,
  minAge: 120_000,
  maxAge: 0,
};

export interface KubeletOptions {
  readonly client: KubeClient;
  readonly nodeName: string;
  /** Platform that the node claims, and pulls for. */
  readonly platform: Platform;
  /** Directory of the agent's own state: `pods`, `pod-logs`, `claims`. */
  readonly root: string;
  readonly images: ImageService;
  readonly imageManager: ImageManager;
  readonly runtime: RuntimeService;
  readonly recorder: EventRecorder;
  /** Pull secrets of Pods; shared with the image manager's candidate lookup. */
  readonly pullSecrets?: PodPullSecrets;
  /** Address of the node and, as all share its network, of its Pods. */
  readonly address?: string;
  /** Where the agent's own endpoint listens; absent: it has none. Port 0 takes a free one. */
  readonly endpoint?: { readonly host: string; readonly port: number; readonly tls: KubeletServerTls };
  /** Variables for every container, such as `KUBERNETES_SERVICE_HOST`. */
  readonly clusterEnv?: Readonly<Record<string, string>>;
  readonly maxNodeImages?: number;
  readonly objects?: ObjectSource;
  /** Clean-up of images; absent: images stay until eviction needs their space. */
  readonly imageGc?: {
    readonly policy: ImageGcPolicy;
    readonly afterSpacePass?: (present: ReadonlySet<string>, startedAt: number) => Promise<void>;
    /** Frees content and layers that removed images leave behind. */
    readonly reclaim?: (signal: AbortSignal) => Promise<void>;
  };
  /** What the agent's endpoint answers at `/metrics`, and where clean-up and eviction are counted (section 14). */
  readonly metrics?: NodeMetrics;
  /** When the node counts as short of something (`parseEvictionThresholds`); absent: never, as befits a machine with other work too. */
  readonly evictionThresholds?: readonly EvictionThreshold[];
  readonly evictionTransitionPeriod?: number;
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly random?: () => number;
}

/** A running node agent. */
export interface Kubelet {
  /** Port of the agent's endpoint; 0 when it has none. */
  readonly port: number;
  /** Sends the node's status now. */
  refreshNode(): Promise<void>;
  /** Stops the agent. Containers go on and are taken up by the next agent. */
  stop(): Promise<void>;
}

/** Starts the node agent and returns once the node is registered and its Pods are known. */
export async function startKubelet(options: KubeletOptions, signal: AbortSignal): Promise<Kubelet> {
  const { client, runtime, recorder, root, nodeName } = options;
  const clock = options.clock ?? systemClock;
  const logger = options.logger ?? silentLogger;
  const address = options.address ?? '127.0.0.1';
  const stopping = new AbortController();
  const alive = AbortSignal.any([signal, stopping.signal]);

  const paths = new PodPaths(root);
  // Containers of any user read their volumes through these directories; only the names are hidden.
  for (const directory of [root, paths.pods]) {
    await mkdir(directory, { recursive: true });
    await chmod(directory, 0o711);
  }
  const machine = await readMachineFacts(root);
  const { runtimeName, runtimeVersion } = await runtime.version(alive);
  const objects = options.objects ?? apiObjects(client);
  const capacity = {
    cpus: machine.cpus,
    memoryBytes: machine.memoryBytes,
    storageBytes: machine.storageBytes,
  };
  const addresses = { hostIP: address, podIP: address };
  const tokens = new ServiceAccountTokens(client, clock);
  const pullSecrets = options.pullSecrets ?? new PodPullSecrets({ objects, recorder });
  const hooks = new HookRunner({ runtime, clock, address });
  const killer = new PodKiller({ runtime, recorder, hooks, clock });
  const statuses = new StatusManager({ client, clock, logger, signal: alive });
  const probes = new ProbeManager({
    runtime,
    recorder,
    clock,
    podIP: address,
    changed: (uid) => workers.wake(uid),
  });
  const syncer = new PodSyncer({
    runtime,
    runtimeName,
    imageManager: options.imageManager,
    recorder,
    starter: new ContainerStarter({
      runtime,
      images: options.images,
      imageManager: options.imageManager,
      recorder,
      backoff: new ContainerBackoff(clock),
      hooks,
      paths,
      env: { objects, addresses, capacity, cluster: options.clusterEnv ?? {} },
      clock,
    }),
    killer,
    probes,
    reasons: new ReasonCache(),
    statuses,
    messages: new TerminationMessages(paths),
    volumes: new VolumeManager({
      paths,
      sources: { objects, tokens, addresses, capacity },
      claims: join(root, 'claims'),
    }),
    pullSecrets,
    paths,
    address,
    clock,
  });
  const workers = new PodWorkers({
    syncer,
    statuses,
    client,
    clock,
    logger,
    random: options.random ?? Math.random,
    refuse: (pod) => {
      const refusal = pressure.refusal(pod);
      if (refusal === undefined) return undefined;
      recorder.event(podEventObject(pod), 'Warning', refusal.reason, refusal.message);
      return { reason: refusal.reason, message: `Pod was rejected: ${refusal.message}`, graceSeconds: 0 };
    },
  });
  const nodeObject = { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: nodeName };
  const collector = new ImageGarbageCollector({
    imageService: options.images,
    policy: options.imageGc?.policy ?? KEEP_IMAGES,
    imagesInUse: (signal) => imagesInUse(runtime, signal),
    space: (signal) => imageFilesystemStats(options.images, signal),
    clock,
    recorder,
    node: nodeObject,
    ...(options.imageGc?.afterSpacePass === undefined
      ? {}
      : { afterSpacePass: options.imageGc.afterSpacePass }),
    ...(options.imageGc?.reclaim === undefined ? {} : { reclaim: options.imageGc.reclaim }),
    onRemoved: (_image, reason) => options.metrics?.imageCollected(reason),
    log: (message) => logger.warn({}, message),
  });
  const pressure = new NodePressure({
    thresholds: options.evictionThresholds ?? [],
    ...(options.evictionTransitionPeriod === undefined
      ? {}
      : { transitionPeriod: options.evictionTransitionPeriod }),
    observe: (signal) => observeResources(root, options.images, signal),
    removeUnusedImages: (signal) => collector.deleteUnused(signal),
    pods: () => workers.pods(),
    evict: (pod, message, graceSeconds, evictionSignal) => {
      options.metrics?.podEvicted(evictionSignal);
      recorder.event(podEventObject(pod), 'Warning', 'Evicted', message);
      workers.evict(podUid(pod), { reason: 'Evicted', message, graceSeconds });
    },
    recorder,
    node: nodeObject,
    clock,
    logger,
    changed: () => {
      node.refresh(alive).catch((error: unknown) => {
        if (!alive.aborted) logger.warn({ error: messageOf(error) }, 'cannot update node status');
      });
    },
  });

  const server =
    options.endpoint === undefined
      ? undefined
      : await startKubeletServer({
          ...options.endpoint,
          workers,
          statuses,
          runtime,
          runtimeName,
          logger,
          ...(options.metrics === undefined ? {} : { metrics: options.metrics }),
        });
  const nodeImageCache = cachedImages(options, clock, logger);
  const node = new NodeAgent({
    client,
    clock,
    logger,
    facts: async (signal): Promise<NodeFacts> => ({
      name: nodeName,
      platform: options.platform,
      address,
      port: server?.port ?? 0,
      machine,
      runtimeVersion: `${runtimeName}://${runtimeVersion}`,
      images: await nodeImageCache(signal),
      pressures: {
        memory: pressure.has('MemoryPressure'),
        disk: pressure.has('DiskPressure'),
        pid: pressure.has('PIDPressure'),
      },
      now: clock.now(),
    }),
  });

  const rotation = new LogRotation({ runtime, clock, logger });
  const running: Promise<unknown>[] = [];
  const stop = async (): Promise<void> => {
    stopping.abort(new Error('the node agent stops'));
    probes.close();
    await workers.stop();
    await server?.close();
    await Promise.allSettled(running);
  };
  try {
    await node.register(alive);
    const pods = createInformer<Pod>(
      client,
      PODS,
      {
        fieldSelector: `spec.nodeName=${nodeName}`,
        onError: (error) => logger.warn({ error: messageOf(error) }, 'watching Pods failed, trying again'),
      },
      alive,
    );
    await pods.synced();
    workers.follow(pods);
    running.push(node.run(alive), rotation.run(alive), workers.followRuntime(runtime, alive));
    running.push(collector.run(alive));
    if ((options.evictionThresholds ?? []).length > 0) running.push(pressure.run(alive));
    const known = new Set(pods.values().map(podUid));
    running.push(
      removeOrphans(
        { runtime, paths, known: (uid) => known.has(uid) || workers.has(uid), logger },
        alive,
      ).catch((error: unknown) => {
        if (!alive.aborted) logger.error({ error: messageOf(error) }, 'cannot remove orphans');
      }),
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { port: server?.port ?? 0, refreshNode: () => node.refresh(alive), stop };
}

/** Lists the node's images at most every 30 s; a failure empties the list and is logged (rule 13.3). */
function cachedImages(
  options: KubeletOptions,
  clock: Clock,
  logger: Logger,
): (signal: AbortSignal) => Promise<readonly NodeImage[]> {
  let listedAt = -Infinity;
  let images: readonly NodeImage[] = [];
  return async (signal) => {
    if (clock.now() - listedAt < IMAGE_LIST_PERIOD) return images;
    const max = options.maxNodeImages ?? DEFAULT_MAX_IMAGES;
    const result = await readNodeImages(options.images, max, signal);
    if (result.error !== undefined) logger.warn({}, result.error);
    images = result.images;
    listedAt = clock.now();
    return images;
  };
}
