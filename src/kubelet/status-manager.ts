import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../base/coded-error.ts';
import type { Clock } from '../base/clock.ts';
import { isApiError, KubeApiError } from '../kube/client/kube-api-error.ts';
import type { KubeClient, ResourceType } from '../kube/client/kube-client.ts';
import type { Pod, PodCondition, PodStatus } from '../kube/pod.ts';
import type { Logger } from '../observe/logger.ts';
import { podNamespace, podUid } from './pod-reference.ts';

export const PODS: ResourceType = {
  group: '',
  version: 'v1',
  resource: 'pods',
  kind: 'Pod',
  namespaced: true,
};

/** Statuses of one Pod that wait for a slow server; in between ones go first, the last one is always written. */
const MAX_WAITING = 4;

/** Pause after a failed write. */
const RETRY_MS = 2_000;

/** Conditions that the kubelet writes; others belong to somebody else. */
const OWNED = new Set([
  'DisruptionTarget',
  'PodResizePending',
  'PodResizeInProgress',
  'PodReadyToStartContainers',
  'Initialized',
  'Ready',
  'ContainersReady',
  'PodScheduled',
]);

/** Of these, the ones that go away again. */
const PASSING = new Set(['PodResizePending', 'PodResizeInProgress']);

interface Entry {
  readonly waiting: { pod: Pod; status: PodStatus }[];
  /** What the server has, as far as we wrote it. */
  written: PodStatus | undefined;
  /** What the agent itself knows. */
  last: PodStatus;
  /** What the server is told, sooner or later. */
  told: PodStatus;
  running: Promise<void> | undefined;
}

/** Writes Pod statuses to the API server when they change, in order, one write at a time for each Pod. */
export class StatusManager {
  readonly #client: KubeClient | undefined;
  readonly #apiUid: (pod: Pod) => string | undefined;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #signal: AbortSignal;
  readonly #entries = new Map<string, Entry>();

  constructor(options: {
    /** Absent: nobody is told. */
    client: KubeClient | undefined;
    /** UID by which the API knows a Pod; its own when absent. Undefined while the API knows none. */
    apiUid?: (pod: Pod) => string | undefined;
    clock: Clock;
    logger: Logger;
    signal: AbortSignal;
  }) {
    this.#client = options.client;
    this.#apiUid = options.apiUid ?? podUid;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#signal = options.signal;
  }

  /** Returns the status last set, which may be newer than what the API server has. */
  get(uid: string): PodStatus | undefined {
    return this.#entries.get(uid)?.last;
  }

  /** Remembers what the API server has of a Pod that is new here. */
  track(pod: Pod): void {
    this.#entryOf(pod);
  }

  /**
   * Takes a status; equal ones cost nothing. A Pod that is new here is taken to be as the API server has it. While something of it
   * `mayRun`, the server is not told that it has ended: others would take what it still uses.
   */
  set(pod: Pod, status: PodStatus, mayRun = false): void {
    const entry = this.#entryOf(pod);
    entry.last = status;
    const told = mayRun ? notEnded(entry.told, status) : status;
    if (isDeepStrictEqual(plain(entry.told), plain(told))) return;
    entry.told = told;
    if (entry.waiting.length >= MAX_WAITING) entry.waiting.pop();
    entry.waiting.push({ pod, status: told });
    entry.running ??= this.#drain(entry);
  }

  /** Writes the whole status again: the API has come to know the Pod, or knows it anew. */
  resend(uid: string, pod: Pod): void {
    const entry = this.#entries.get(uid);
    if (entry === undefined) return;
    entry.written = undefined;
    entry.waiting.push({ pod, status: entry.told });
    entry.running ??= this.#drain(entry);
  }

  /** Resolves when everything set for a Pod is written, or the Pod is gone. */
  async written(uid: string): Promise<void> {
    for (;;) {
      const running = this.#entries.get(uid)?.running;
      if (running === undefined) return;
      await running;
    }
  }

  forget(uid: string): void {
    const entry = this.#entries.get(uid);
    if (entry !== undefined) entry.waiting.length = 0;
    this.#entries.delete(uid);
  }

  #entryOf(pod: Pod): Entry {
    const uid = podUid(pod);
    let entry = this.#entries.get(uid);
    if (entry === undefined) {
      const known = pod.status ?? {};
      entry = { waiting: [], written: pod.status, last: known, told: known, running: undefined };
      this.#entries.set(uid, entry);
    }
    return entry;
  }

  async #drain(entry: Entry): Promise<void> {
    // Set before the first await ends, so that a second `set` does not start a second writer.
    await Promise.resolve();
    try {
      for (;;) {
        const next = entry.waiting[0];
        if (next === undefined || this.#signal.aborted) return;
        const done = await this.#write(entry, next.pod, next.status);
        if (done) entry.waiting.shift();
        else await this.#clock.sleep(RETRY_MS, this.#signal).catch(() => undefined);
      }
    } finally {
      entry.running = undefined;
    }
  }

  /** A node may not touch a Pod that is not bound to it yet, which one of the same name that came later may be. */
  async #isReplaced(name: { namespace: string; name: string }, uid: string): Promise<boolean> {
    try {
      const found = await this.#client?.get<Pod>(PODS, name, this.#signal);
      return found !== undefined && found.metadata.uid !== uid;
    } catch (error) {
      // A node may read the Pods bound to it and no others.
      if (isApiError(error, 'NotFound', 'Forbidden')) return true;
      if (error instanceof KubeApiError) return false;
      throw error;
    }
  }

  async #write(entry: Entry, pod: Pod, status: PodStatus): Promise<boolean> {
    const uid = this.#apiUid(pod);
    if (this.#client === undefined || uid === undefined) return true;
    const patch = statusPatch(uid, entry.written, status);
    const name = { namespace: podNamespace(pod), name: pod.metadata.name };
    try {
      await this.#client.patch(PODS, name, patch, 'strategic', this.#signal, { subresource: 'status' });
      entry.written = status;
      return true;
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      const isGone =
        code === 'NotFound' ||
        code === 'Conflict' ||
        isOtherUid(error) ||
        (code === 'Forbidden' && (await this.#isReplaced(name, uid)));
      if (isGone) {
        // Gone, or replaced by another Pod of the same name: nobody is left to tell.
        entry.waiting.length = 1;
        return true;
      }
      if (!this.#signal.aborted) {
        this.#logger.warn({ pod: pod.metadata.name, error: messageOf(error) }, 'cannot write status');
      }
      return code === 'Invalid' || code === 'BadRequest';
    }
  }
}

/** Keeps the phase that was told before, with its reason, in place of a final one. */
function notEnded(before: PodStatus, status: PodStatus): PodStatus {
  if (!hasEnded(status) || hasEnded(before)) return status;
  const { reason: _, message: __, ...rest } = status;
  return {
    ...rest,
    phase: before.phase ?? 'Pending',
    ...(before.reason === undefined ? {} : { reason: before.reason }),
    ...(before.message === undefined ? {} : { message: before.message }),
  };
}

function hasEnded({ phase }: PodStatus): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

/** The server refuses to change a UID: a Pod of the same name has taken the place. */
function isOtherUid(error: unknown): boolean {
  if (!isApiError(error, 'Invalid')) return false;
  return error.status?.details?.causes?.some(({ field }) => field === 'metadata.uid') ?? false;
}

/**
 * Builds a strategic merge patch from what the server has to what it should have. The UID in it makes the server refuse
 * a Pod of the same name that came later. Conditions of others are left alone.
 */
export function statusPatch(uid: string, from: PodStatus | undefined, to: PodStatus): object {
  const before = plain(from ?? {});
  const after = plain(to);
  const status: Record<string, unknown> = {};
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (isDeepStrictEqual(before[key], after[key])) continue;
    if (key === 'conditions') {
      status[key] = conditionsPatch(from?.conditions ?? [], to.conditions ?? []);
      status['$setElementOrder/conditions'] = (to.conditions ?? []).map(({ type }) => ({ type }));
    } else if (key === 'podIPs' || key === 'hostIPs') {
      // A patch would merge them by address and keep the old ones.
      const list = after[key];
      status[key] = [{ $patch: 'replace' }, ...(Array.isArray(list) ? list : [])];
    } else if (key in after) status[key] = after[key];
    else if (key !== 'qosClass' && key !== 'nominatedNodeName') status[key] = null;
  }
  return { metadata: { uid }, status };
}

function conditionsPatch(from: readonly PodCondition[], to: readonly PodCondition[]): object[] {
  const over = from.filter(
    ({ type }) => PASSING.has(type) && !to.some((condition) => condition.type === type),
  );
  const changed = to.flatMap((condition) => {
    if (!OWNED.has(condition.type)) return [];
    const before = from.find((candidate) => candidate.type === condition.type);
    if (isDeepStrictEqual(before, condition)) return [];
    const gone: Record<string, null> = {};
    if (before?.reason !== undefined && condition.reason === undefined) gone['reason'] = null;
    if (before?.message !== undefined && condition.message === undefined) gone['message'] = null;
    return [{ ...condition, ...gone }];
  });
  return [...changed, ...over.map(({ type }) => ({ $patch: 'delete', type }))];
}

function plain(status: PodStatus): Record<string, unknown> {
  return status as Record<string, unknown>;
}
