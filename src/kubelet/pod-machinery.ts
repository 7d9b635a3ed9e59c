import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import type { Pod } from '../kube/pod.ts';
import type { Logger } from '../observe/logger.ts';
import { Allocations } from './allocations.ts';
import { ContainerBackoff } from './container-backoff.ts';
import { ContainerStarter } from './container-starter.ts';
import type { KubeletOptions } from './kubelet-options.ts';
import { HookRunner } from './lifecycle-hooks.ts';
import type { MachineFacts } from './node/machine-facts.ts';
import { apiObjects, NO_OBJECTS } from './object-source.ts';
import { PodKiller } from './pod-killer.ts';
import type { PodPaths } from './pod-paths.ts';
import { PodResizer, type ResizeRefusal } from './pod-resizer.ts';
import { PodSyncer, type Eviction } from './pod-syncer.ts';
import { PodWorkers } from './pod-workers.ts';
import { ProbeManager } from './probes/probe-manager.ts';
import { PodPullSecrets } from './pull-secrets-of-pod.ts';
import { ReasonCache } from './reason-cache.ts';
import { StatusManager } from './status-manager.ts';
import { TerminationMessages } from './termination-message.ts';
import { ServiceAccountTokens } from './volumes/service-account-tokens.ts';
import { claimedDirectories } from './volumes/claimed-directory.ts';
import { VolumeManager } from './volumes/volume-manager.ts';

/** What works on Pods. */
export interface PodMachinery {
  readonly workers: PodWorkers;
  readonly statuses: StatusManager;
  readonly probes: ProbeManager;
}

export interface PodMachineryContext {
  readonly options: KubeletOptions;
  readonly paths: PodPaths;
  readonly machine: MachineFacts;
  readonly runtimeName: string;
  readonly address: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Says why a Pod that is new here may not run. */
  readonly admit: (pod: Pod, signal: AbortSignal) => Promise<Eviction | undefined>;
  /** Says whether the node has room for a Pod as it asks now. */
  readonly refuseResize: (pod: Pod) => ResizeRefusal | undefined;
  /** UID by which the API knows a Pod; undefined while it knows none. */
  readonly apiUid: (pod: Pod) => string | undefined;
  /** Told when a Pod is gone from here. */
  readonly gone: (uid: string) => void;
}

/** Puts together everything between a Pod's specification and its containers. */
export function createPodMachinery(context: PodMachineryContext, signal: AbortSignal): PodMachinery {
  const { options, paths, machine, runtimeName, address, clock, logger } = context;
  const { client, runtime, recorder, imageManager, root } = options;
  const metrics = options.metrics === undefined ? {} : { metrics: options.metrics };
  const objects = options.objects ?? (client === undefined ? NO_OBJECTS : apiObjects(client));
  const capacity = {
    cpus: machine.cpus,
    memoryBytes: machine.memoryBytes,
    storageBytes: machine.storageBytes,
  };
  const addresses = { hostIP: address, podIP: address };
  const hooks = new HookRunner({ runtime, clock, address });
  const killer = new PodKiller({ runtime, recorder, hooks, clock });
  const statuses = new StatusManager({ client, apiUid: context.apiUid, clock, logger, signal });
  const probes = new ProbeManager({
    runtime,
    recorder,
    clock,
    podIP: address,
    changed: (uid) => workers.wake(uid),
  });
  const allocations = new Allocations(paths);
  const resizer = new PodResizer({
    allocations,
    runtime,
    recorder,
    refuse: context.refuseResize,
    memoryBytes: machine.memoryBytes,
  });
  const syncer = new PodSyncer({
    allocations,
    resizer,
    runtime,
    runtimeName,
    imageManager,
    recorder,
    starter: new ContainerStarter({
      runtime,
      images: options.images,
      imageManager,
      recorder,
      backoff: new ContainerBackoff(clock),
      hooks,
      paths,
      env: { objects, addresses, capacity, cluster: options.clusterEnv ?? {} },
      allocations,
      clock,
      ...metrics,
    }),
    killer,
    probes,
    reasons: new ReasonCache(),
    statuses,
    messages: new TerminationMessages(paths),
    volumes: new VolumeManager({
      paths,
      sources: { objects, tokens: new ServiceAccountTokens(client, clock), addresses, capacity },
      claimed: client === undefined ? () => Promise.resolve(undefined) : claimedDirectories(client),
      claims: options.claims ?? join(root, 'claims'),
    }),
    pullSecrets: options.pullSecrets ?? new PodPullSecrets({ objects, recorder }),
    paths,
    address,
    clock,
    ...metrics,
  });
  const workers = new PodWorkers({
    syncer,
    statuses,
    client,
    clock,
    logger,
    random: options.random ?? Math.random,
    admit: context.admit,
    freed: () => {
      for (const uid of resizer.waiting()) workers.wake(uid);
    },
    left: context.gone,
  });
  return { workers, statuses, probes };
}
