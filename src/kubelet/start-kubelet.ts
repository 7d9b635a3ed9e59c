import { chmod, mkdir } from 'node:fs/promises';
import { systemClock } from '../base/clock.ts';
import { messageOf } from '../base/coded-error.ts';
import type { Clock } from '../base/clock.ts';
import { createInformer } from '../kube/client/informer.ts';
import type { KubeClient } from '../kube/client/kube-client.ts';
import type { Pod } from '../kube/pod.ts';
import { silentLogger, type Logger } from '../observe/logger.ts';
import type { EventObject } from './ensure-image.ts';
import { imageUsers } from './image-users.ts';
import type { ImageGcForecast } from './images/gc-forecast.ts';
import { instrumentedRuntime } from './images/instrumented-runtime.ts';
import type { KubeletOptions } from './kubelet-options.ts';
import { LogRotation } from './log-rotation.ts';
import { readMachineFacts } from './node/machine-facts.ts';
import { NodeAgent } from './node/node-agent.ts';
import { createNodeUpkeep, quietly, type NodeUpkeep } from './node-upkeep.ts';
import { removeOrphans } from './orphans.ts';
import { createPodMachinery, type PodMachinery } from './pod-machinery.ts';
import { PodPaths } from './pod-paths.ts';
import { podUid } from './pod-reference.ts';
import { PodAdmission } from './pod-admission.ts';
import type { ListeningServer } from './server/listening-server.ts';
import { startNodeServers } from './server/node-servers.ts';
import { MirrorPods } from './static-pods/mirror-pods.ts';
import { StaticPodFiles } from './static-pods/static-pod-files.ts';
import { isMirrorPod, isStaticPod } from './static-pods/static-pod-marks.ts';
import { StaticPods } from './static-pods/static-pods.ts';
import { PODS } from './status-manager.ts';

/** A running node agent. */
export interface Kubelet {
  /** Port of the agent's endpoint; 0 when it has none. */
  readonly port: number;
  /** Sends the node's status now. */
  refreshNode(): Promise<void>;
  /** Foretells what the next clean-up of images would do, and when it is. */
  forecastImageGc(signal: AbortSignal): Promise<ImageGcForecast>;
  /** Stops the agent. Containers go on and are taken up by the next agent. */
  stop(): Promise<void>;
}

/** Starts the node agent and returns once its Pods are known and, unless it stands alone, the node is registered. */
export async function startKubelet(options: KubeletOptions, signal: AbortSignal): Promise<Kubelet> {
  const kubelet = await RunningKubelet.make(options, signal);
  try {
    await kubelet.begin();
    return kubelet;
  } catch (error) {
    await kubelet.stop();
    throw error;
  }
}

class RunningKubelet implements Kubelet {
  readonly #options: KubeletOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #paths: PodPaths;
  readonly #stopping: AbortController;
  readonly #alive: AbortSignal;
  readonly #runtimeName: string;
  readonly #machinery: PodMachinery;
  readonly #upkeep: NodeUpkeep;
  readonly #node: NodeAgent | undefined;
  readonly #statics: StaticPods;
  readonly #admission: PodAdmission;
  readonly #running: Promise<unknown>[] = [];
  #mirrors: MirrorPods | undefined;
  #servers: ListeningServer | undefined;

  private constructor(
    options: KubeletOptions,
    facts: {
      paths: PodPaths;
      machine: Awaited<ReturnType<typeof readMachineFacts>>;
      runtimeName: string;
      runtimeVersion: string;
      stopping: AbortController;
      alive: AbortSignal;
    },
  ) {
    const { client, nodeName, recorder } = options;
    const { paths, machine, runtimeName } = facts;
    const address = options.address ?? '127.0.0.1';
    const clock = options.clock ?? systemClock;
    const logger = options.logger ?? silentLogger;
    this.#options = options;
    this.#clock = clock;
    this.#logger = logger;
    this.#paths = paths;
    this.#stopping = facts.stopping;
    this.#alive = facts.alive;
    this.#runtimeName = runtimeName;
    this.#machinery = createPodMachinery(
      {
        options,
        paths,
        machine,
        runtimeName,
        address,
        clock,
        logger,
        admit: (pod, now) => this.#admission.judge(pod, now),
        refuseResize: (pod) => this.#admission.refuseResize(pod),
        apiUid: (pod) => (isStaticPod(pod) ? this.#mirrors?.uidOf(podUid(pod)) : podUid(pod)),
        gone: (uid) => this.#statics.gone(uid),
      },
      this.#alive,
    );
    const object: EventObject = { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: nodeName };
    this.#upkeep = createNodeUpkeep({
      options,
      machine,
      address,
      runtimeVersion: `${runtimeName}://${facts.runtimeVersion}`,
      workers: () => this.#machinery.workers,
      paths,
      phaseOf: (pod) => this.#machinery.statuses.get(podUid(pod))?.phase ?? pod.status?.phase,
      node: object,
      port: () => this.port,
      changed: () => quietly(this.refreshNode(), logger, this.#alive),
      clock,
      logger,
    });
    this.#statics = new StaticPods(this.#machinery.workers, (name) => this.#mirrors?.look(name));
    const factsNow = (now: AbortSignal): ReturnType<NodeUpkeep['facts']> => this.#upkeep.facts(now);
    this.#node =
      client === undefined
        ? undefined
        : new NodeAgent({ client, clock, logger, facts: factsNow, recorder, object });
    this.#admission = new PodAdmission({
      present: () => this.#present(),
      pressure: (pod) => this.#upkeep.pressure.refusal(pod),
      node: () => this.#upkeep.admitting(this.#node?.node),
      freshNode: async (now) => this.#upkeep.admitting(await this.#node?.read(now)),
      end: async (pod, eviction, now) => {
        this.#machinery.workers.evict(podUid(pod), eviction);
        await this.#machinery.workers.ended(podUid(pod), now);
      },
      recorder,
      logger,
    });
    recorder.event(object, 'Normal', 'Starting', 'Starting kubelet.');
  }

  static async make(given: KubeletOptions, signal: AbortSignal): Promise<RunningKubelet> {
    const options = withMeasuredRuntime(given);
    const paths = new PodPaths(options.root);
    // Containers of any user read their volumes through these directories; only the names are hidden.
    for (const directory of [options.root, paths.pods]) {
      await mkdir(directory, { recursive: true });
      await chmod(directory, 0o711);
    }
    const stopping = new AbortController();
    const alive = AbortSignal.any([signal, stopping.signal]);
    const machine = await readMachineFacts(options.root);
    const { runtimeName, runtimeVersion } = await options.runtime.version(alive);
    return new RunningKubelet(options, { paths, machine, runtimeName, runtimeVersion, stopping, alive });
  }

  get port(): number {
    return this.#servers?.port ?? 0;
  }

  async begin(): Promise<void> {
    const { options, alive } = { options: this.#options, alive: this.#alive };
    const { workers, statuses } = this.#machinery;
    const { endpoint, metrics, runtime, evictionThresholds, plainPorts } = options;
    this.#servers = await startNodeServers(endpoint, plainPorts ?? [], {
      workers,
      statuses,
      runtime,
      runtimeName: this.#runtimeName,
      logger: this.#logger,
      podAddress: options.address ?? '127.0.0.1',
      pulls: () => options.imageManager.pulls?.(),
      ...(metrics === undefined ? {} : { metrics }),
    });
    // Before the API is asked for anything: what the API itself needs may be a static Pod.
    const known = await this.#startStaticPods();
    if (options.client !== undefined) for (const uid of await this.#followApi(options.client)) known.add(uid);
    const rotation = new LogRotation({ runtime, clock: this.#clock, logger: this.#logger });
    this.#running.push(
      rotation.run(alive),
      workers.followRuntime(runtime, alive),
      this.#upkeep.collector.run(alive),
      this.#orphans((uid) => known.has(uid) || workers.has(uid)),
    );
    if ((evictionThresholds ?? []).length > 0) this.#running.push(this.#upkeep.pressure.run(alive));
  }

  async refreshNode(): Promise<void> {
    await this.#node?.refresh(this.#alive);
  }

  async forecastImageGc(signal: AbortSignal): Promise<ImageGcForecast> {
    return this.#upkeep.collector.forecast(await imageUsers(this.#options.runtime, signal), signal);
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the node agent stops'));
    await this.#machinery.workers.stop();
    // Only now: whoever still worked on a Pod may have begun to probe it.
    this.#machinery.probes.close();
    await this.#servers?.close();
    await Promise.allSettled(this.#running);
  }

  /** Registers the node and begins to work on the Pods that are bound to it; returns their UIDs. */
  async #followApi(client: KubeClient): Promise<string[]> {
    const { nodeName } = this.#options;
    const { workers } = this.#machinery;
    const node = this.#node;
    await node?.register(this.#alive);
    const pods = createInformer<Pod>(
      client,
      PODS,
      {
        fieldSelector: `spec.nodeName=${nodeName}`,
        onError: (error) =>
          this.#logger.warn({ error: messageOf(error) }, 'watching Pods failed, trying again'),
      },
      this.#alive,
    );
    await pods.synced();
    this.#mirrors = new MirrorPods({
      client,
      pods,
      statics: this.#statics,
      node: () => {
        const uid = node?.node?.metadata.uid;
        return uid === undefined ? undefined : { name: nodeName, uid };
      },
      appeared: (uid) => {
        const pod = workers.pods().find((each) => podUid(each) === uid);
        if (pod !== undefined) this.#machinery.statuses.resend(uid, pod);
      },
      clock: this.#clock,
      logger: this.#logger,
    });
    for (const name of this.#statics.names()) this.#mirrors.look(name);
    workers.follow(pods, (pod) => !isMirrorPod(pod));
    if (node !== undefined) this.#running.push(node.run(this.#alive));
    this.#running.push(this.#mirrors.run(this.#alive));
    return pods
      .values()
      .filter((pod) => !isMirrorPod(pod))
      .map(podUid);
  }

  /** Begins with the Pods that files name; returns their UIDs. */
  async #startStaticPods(): Promise<Set<string>> {
    const { staticPods: path, nodeName, runtime } = this.#options;
    const { workers } = this.#machinery;
    const known = new Set<string>();
    const files =
      path === undefined
        ? undefined
        : new StaticPodFiles({ path, nodeName, clock: this.#clock, logger: this.#logger });
    const pods = (await files?.read()) ?? [];
    for (const pod of pods) known.add(podUid(pod));
    // What a file said before it was changed while the agent was away: gone before the new one starts.
    await removeOrphans(
      {
        runtime,
        paths: this.#paths,
        known: (uid) => known.has(uid) || workers.has(uid),
        logger: this.#logger,
        only: 'static',
      },
      this.#alive,
    );
    this.#statics.set(pods);
    if (files !== undefined) {
      this.#running.push(files.run((changed) => this.#statics.set(changed), this.#alive));
    }
    return known;
  }

  async #orphans(known: (uid: string) => boolean): Promise<void> {
    const { runtime } = this.#options;
    const options = { runtime, paths: this.#paths, known, logger: this.#logger };
    await removeOrphans(options, this.#alive).catch((error: unknown) => {
      if (!this.#alive.aborted) this.#logger.error({ error: messageOf(error) }, 'cannot remove orphans');
    });
  }

  /** Pods that run here or shall, without those that have ended. */
  #present(): Pod[] {
    const { workers, statuses } = this.#machinery;
    return workers.pods().filter((pod) => {
      const phase = statuses.get(podUid(pod))?.phase;
      return phase !== 'Succeeded' && phase !== 'Failed';
    });
  }
}

function withMeasuredRuntime(options: KubeletOptions): KubeletOptions {
  const { metrics, runtime, clock = systemClock } = options;
  return metrics === undefined
    ? options
    : { ...options, runtime: instrumentedRuntime(runtime, metrics, clock) };
}
