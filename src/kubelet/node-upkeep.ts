import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/coded-error.ts';
import type { Pod } from '../kube/pod.ts';
import type { Logger } from '../observe/logger.ts';
import { imagesInUse } from './images-in-use.ts';
import { thresholdAmount } from './images/eviction-state.ts';
import type { EvictionThreshold } from './images/eviction-thresholds.ts';
import { imageFilesystemStats } from './images/image-filesystem.ts';
import { ImageGarbageCollector } from './images/image-gc.ts';
import type { ImageGcPolicy } from './images/image-gc-policy.ts';
import { IMAGE_LIST_PERIOD, readNodeImages } from './images/read-node-images.ts';
import type { EventObject } from './ensure-image.ts';
import type { KubeletOptions } from './kubelet-options.ts';
import type { MachineFacts } from './node/machine-facts.ts';
import { DEFAULT_MAX_IMAGES, type NodeImage } from './node/node-images.ts';
import { nodeLabels, nodeStatus, type NodeFacts, type NodeObject } from './node/node-object.ts';
import { NodePressure } from './node/node-pressure.ts';
import { observeResources } from './node/observe-resources.ts';
import { runtimeWatch } from './node/runtime-watch.ts';
import { measurePod } from './node/pod-usage.ts';
import { removeDeadContainers } from './node/dead-containers.ts';
import type { PodPaths } from './pod-paths.ts';
import { podEventObject, podUid } from './pod-reference.ts';
import type { PodWorkers } from './pod-workers.ts';
import type { AdmittingNode } from './admit-pod.ts';

type PodPhase = NonNullable<NonNullable<Pod['status']>['phase']>;

/** Removes no image by itself (rule 11.6: 100 per cent and no age switch clean-up off). */
const KEEP_IMAGES: ImageGcPolicy = {
  highThresholdPercent: 100,
  lowThresholdPercent: 100,
  minAge: 120_000,
  maxAge: 0,
};

export interface NodeUpkeepContext {
  readonly options: KubeletOptions;
  readonly machine: MachineFacts;
  readonly address: string;
  readonly runtimeVersion: string;
  readonly workers: () => PodWorkers;
  readonly paths: PodPaths;
  /** Phase of a Pod as this agent knows it. */
  readonly phaseOf: (pod: Pod) => PodPhase | undefined;
  readonly node: EventObject;
  /** Port of the agent's endpoint, once it listens. */
  readonly port: () => number;
  /** Called when a condition came or went. */
  readonly changed: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What keeps the node's resources in order and knows how it fares. */
export interface NodeUpkeep {
  readonly collector: ImageGarbageCollector;
  readonly pressure: NodePressure;
  /** What the Node object says now. */
  facts(signal: AbortSignal): Promise<NodeFacts>;
  /** The node as Pods are judged by: labels and taints as the API has them, resources as they are. */
  admitting(stored: NodeObject | undefined): AdmittingNode;
}

/** Puts together clean-up, eviction and what is told of the node. */
export function createNodeUpkeep(context: NodeUpkeepContext): NodeUpkeep {
  const { options, machine, clock, logger, workers } = context;
  const { runtime, recorder, root, nodeName, imageGc, metrics } = options;
  const thresholds = options.evictionThresholds ?? [];
  const collector = new ImageGarbageCollector({
    imageService: options.images,
    policy: imageGc?.policy ?? KEEP_IMAGES,
    imagesInUse: (signal) => imagesInUse(runtime, signal),
    space: (signal) => imageFilesystemStats(options.images, signal),
    clock,
    recorder,
    node: context.node,
    ...(imageGc?.afterSpacePass === undefined ? {} : { afterSpacePass: imageGc.afterSpacePass }),
    ...(imageGc?.reclaim === undefined ? {} : { reclaim: imageGc.reclaim }),
    ...(imageGc?.removingMany === undefined ? {} : { removingMany: imageGc.removingMany }),
    onRemoved: (_image, reason) => metrics?.imageCollected(reason),
    log: (message) => logger.warn({}, message),
  });
  const pressure = new NodePressure({
    thresholds,
    ...(options.evictionTransitionPeriod === undefined
      ? {}
      : { transitionPeriod: options.evictionTransitionPeriod }),
    ...(options.evictionMaxPodGraceSeconds === undefined
      ? {}
      : { maxPodGraceSeconds: options.evictionMaxPodGraceSeconds }),
    observe: (signal) => observeResources(root, options.images, signal),
    removeUnusedImages: (signal) => collector.deleteUnused(signal),
    removeDeadContainers: (signal) =>
      removeDeadContainers(runtime, workers().pods(), context.phaseOf, signal),
    pods: () =>
      workers()
        .pods()
        .map((pod) => withPhase(pod, context.phaseOf(pod))),
    usage: (pod, signal) =>
      measurePod({ runtime, paths: context.paths, containerUsage: options.containerUsage }, pod, signal),
    evict: (pod: Pod, message, graceSeconds, evictionSignal) => {
      metrics?.podEvicted(evictionSignal);
      recorder.event(podEventObject(pod), 'Warning', 'Evicted', message);
      workers().evict(podUid(pod), { reason: 'Evicted', message, graceSeconds, disruption: message });
    },
    recorder,
    node: context.node,
    clock,
    logger,
    changed: context.changed,
  });
  const base = {
    name: nodeName,
    platform: options.platform,
    address: context.address,
    machine,
    runtimeVersion: context.runtimeVersion,
    maxPods: options.maxPods,
    endpointAuthority: options.endpoint?.tls.authority,
    reserved: {
      memory: kept(thresholds, 'memory.available', machine.memoryBytes),
      storage: kept(thresholds, 'nodefs.available', machine.storageBytes),
    },
  };
  const images = cachedImages(options, clock, logger);
  const down = runtimeWatch(runtime, clock);
  const factsWith = (listed: readonly NodeImage[]): NodeFacts => ({
    ...base,
    port: context.port(),
    images: listed,
    pressures: {
      memory: pressure.has('MemoryPressure'),
      disk: pressure.has('DiskPressure'),
      pid: pressure.has('PIDPressure'),
    },
    now: clock.now(),
  });
  return {
    collector,
    pressure,
    facts: async (signal) => {
      const notReady = await down(signal);
      const listed = await images(signal);
      return { ...factsWith(listed), ...(notReady === undefined ? {} : { notReady }) };
    },
    admitting: (stored) => ({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: nodeName, labels: { ...stored?.metadata.labels, ...nodeLabels(base) } },
      spec: { taints: stored?.spec?.taints ?? [] },
      status: { allocatable: nodeStatus(factsWith([]), undefined).allocatable ?? {} },
    }),
  };
}

function withPhase(pod: Pod, phase: PodPhase | undefined): Pod {
  return phase === undefined ? pod : { ...pod, status: { ...pod.status, phase } };
}

/** Bytes that a hard threshold keeps free; undefined where none is set at all. */
function kept(
  thresholds: readonly EvictionThreshold[],
  signal: EvictionThreshold['signal'],
  capacity: number,
): number | undefined {
  if (thresholds.length === 0) return undefined;
  const hard = thresholds.find((each) => each.signal === signal && each.gracePeriod === 0);
  return hard === undefined ? 0 : thresholdAmount(hard.value, capacity);
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

/** Refreshes without anybody waiting for it: what fails is tried again in the next round. */
export function quietly(work: Promise<void>, logger: Logger, alive: AbortSignal): void {
  work.catch((error: unknown) => {
    if (!alive.aborted) logger.warn({ error: messageOf(error) }, 'cannot update node status');
  });
}
