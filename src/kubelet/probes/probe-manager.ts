import type { Clock } from '../../base/clock.ts';
import type { Container, Pod, Probe } from '../../kube/pod.ts';
import type { RuntimeService } from '../../runtime/runtime-service.ts';
import type { EventRecorder } from '../ensure-image.ts';
import type { ProbeVerdicts } from '../plan-pod.ts';
import { containerFieldPath, podEventObject, podUid, type ContainerKind } from '../pod-reference.ts';
import { runProbe, type ProbeResult } from './run-probe.ts';

type ProbeKind = 'startup' | 'liveness' | 'readiness';

const WORDS: Readonly<Record<ProbeKind, string>> = {
  startup: 'Startup',
  liveness: 'Liveness',
  readiness: 'Readiness',
};

/** Attempts at a probe that cannot be made before it counts as an error once. The kubelet's value. */
const MAX_RETRIES = 3;

interface Watched {
  readonly podUid: string;
  readonly stop: AbortController;
  readonly has: ReadonlySet<ProbeKind>;
  readonly verdicts: Map<ProbeKind, boolean>;
  startupPassed: PromiseWithResolvers<void>;
}

/** Probes containers for as long as they run and remembers what the probes say. */
export class ProbeManager implements ProbeVerdicts {
  readonly #options: {
    readonly runtime: RuntimeService;
    readonly recorder: EventRecorder;
    readonly clock: Clock;
    readonly podIP: string;
    /** Called with a Pod's UID when a verdict about it has changed. */
    readonly changed: (podUid: string) => void;
  };
  readonly #watched = new Map<string, Watched>();

  constructor(options: {
    runtime: RuntimeService;
    recorder: EventRecorder;
    clock: Clock;
    podIP: string;
    changed: (podUid: string) => void;
  }) {
    this.#options = options;
  }

  ready(containerId: string): boolean {
    const watched = this.#watched.get(containerId);
    if (watched === undefined) return true;
    if (!this.started(containerId)) return false;
    return watched.has.has('readiness') ? watched.verdicts.get('readiness') === true : true;
  }

  started(containerId: string): boolean {
    const watched = this.#watched.get(containerId);
    if (watched === undefined || !watched.has.has('startup')) return true;
    return watched.verdicts.get('startup') === true;
  }

  unhealthy(containerId: string): 'liveness' | 'startup' | undefined {
    const verdicts = this.#watched.get(containerId)?.verdicts;
    if (verdicts?.get('startup') === false) return 'startup';
    if (verdicts?.get('liveness') === false) return 'liveness';
    return undefined;
  }

  /** Begins to probe a running container; one that is probed already, or has no probes, costs nothing. */
  watch(pod: Pod, container: Container, kind: ContainerKind, containerId: string, startedAt: number): void {
    if (this.#watched.has(containerId)) return;
    const probes: [ProbeKind, Probe | undefined][] = [
      ['startup', container.startupProbe],
      ['liveness', container.livenessProbe],
      ['readiness', container.readinessProbe],
    ];
    const given = probes.filter((entry): entry is [ProbeKind, Probe] => entry[1] !== undefined);
    if (given.length === 0) return;
    const watched: Watched = {
      podUid: podUid(pod),
      stop: new AbortController(),
      has: new Set(given.map(([name]) => name)),
      verdicts: new Map(),
      startupPassed: Promise.withResolvers(),
    };
    this.#watched.set(containerId, watched);
    for (const [name, probe] of given) {
      const run = this.#run({ pod, container, kind, containerId, startedAt, name, probe, watched });
      // It ends only by being stopped.
      run.catch(() => undefined);
    }
  }

  /** Stops probing everything of a Pod except the given containers. */
  keepOnly(uid: string, containerIds: ReadonlySet<string>): void {
    for (const [id, watched] of this.#watched) {
      if (watched.podUid !== uid || containerIds.has(id)) continue;
      watched.stop.abort();
      this.#watched.delete(id);
    }
  }

  close(): void {
    for (const watched of this.#watched.values()) watched.stop.abort();
    this.#watched.clear();
  }

  async #run(task: {
    pod: Pod;
    container: Container;
    kind: ContainerKind;
    containerId: string;
    startedAt: number;
    name: ProbeKind;
    probe: Probe;
    watched: Watched;
  }): Promise<void> {
    const { probe, watched, name } = task;
    const { clock } = this.#options;
    const { signal } = watched.stop;
    const period = (probe.periodSeconds ?? 10) * 1000;
    const delay = task.startedAt + (probe.initialDelaySeconds ?? 0) * 1000 - clock.now();
    if (delay > 0) await clock.sleep(delay, signal);
    if (name !== 'startup' && watched.has.has('startup')) {
      const stopped = new Promise<never>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      });
      await Promise.race([watched.startupPassed.promise, stopped]);
    }
    let successes = 0;
    let failures = 0;
    for (;;) {
      const result = await this.#probe(task);
      signal.throwIfAborted();
      if (result.kind === 'success') {
        successes++;
        failures = 0;
        if (successes >= (probe.successThreshold ?? 1)) this.#conclude(watched, name, true);
      } else if (result.kind === 'failure') {
        failures++;
        successes = 0;
        this.#say(task, `${WORDS[name]} probe failed: ${result.output}`);
        if (failures >= (probe.failureThreshold ?? 3)) this.#conclude(watched, name, false);
      } else this.#say(task, `${WORDS[name]} probe errored and resulted in unknown state: ${result.output}`);
      // A startup probe that has succeeded has done its work, and a container that is to go is not asked again.
      const verdict = watched.verdicts.get(name);
      if (name === 'startup' ? verdict !== undefined : name === 'liveness' && verdict === false) return;
      await clock.sleep(period, signal);
    }
  }

  async #probe(task: {
    pod: Pod;
    container: Container;
    containerId: string;
    probe: Probe;
    watched: Watched;
  }): Promise<ProbeResult> {
    const { runtime, podIP } = this.#options;
    const target = { runtime, containerId: task.containerId, container: task.container, podIP };
    let result: ProbeResult = { kind: 'error', output: '' };
    for (let attempt = 0; attempt < MAX_RETRIES; attempt++) {
      result = await runProbe(task.probe, target, task.watched.stop.signal);
      if (result.kind !== 'error') return result;
    }
    return result;
  }

  #conclude(watched: Watched, name: ProbeKind, good: boolean): void {
    if (watched.verdicts.get(name) === good) return;
    watched.verdicts.set(name, good);
    if (name === 'startup' && good) watched.startupPassed.resolve();
    this.#options.changed(watched.podUid);
  }

  #say(task: { pod: Pod; container: Container; kind: ContainerKind }, message: string): void {
    const object = podEventObject(task.pod, containerFieldPath(task.kind, task.container.name));
    this.#options.recorder.event(object, 'Warning', 'Unhealthy', message);
  }
}
