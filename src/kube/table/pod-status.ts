import { numberAt, objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { humanDuration, parseTime } from '../time.ts';

/** What the first columns of a Pod's line say. */
export interface PodSummary {
  /** `1/2` */
  readonly ready: string;
  /** The STATUS column: `Running`, `Init:ImagePullBackOff`, `Terminating` … */
  readonly status: string;
  /** `0`, `3 (5m ago)` */
  readonly restarts: string;
}

/** Node lost: the reason that turns a deleted Pod's status into `Unknown`. */
const UNREACHABLE = 'NodeLost';

/** Phases after which nothing runs any more: a deleted Pod then says how it ended. */
const ENDED: ReadonlySet<string> = new Set(['Failed', 'Succeeded']);

/** Sums a Pod up as kubectl's table does. `now` is milliseconds since the epoch. */
export function summarizePod(pod: JsonObject, now: number): PodSummary {
  const spec = objectAt(pod, 'spec') ?? {};
  const status = objectAt(pod, 'status') ?? {};
  const sidecars = new Set(
    objectsAt(spec, 'initContainers')
      .filter((container) => container['restartPolicy'] === 'Always')
      .map((container) => stringAt(container, 'name')),
  );
  const gated = condition(status, 'PodScheduled')?.['reason'] === 'SchedulingGated';
  let reason = stringAt(status, 'reason') || stringAt(status, 'phase');
  if (gated) reason = 'SchedulingGated';
  const init = summarizeInit(spec, status, sidecars);
  const tally = new RestartTally();
  let ready = 0;
  for (const entry of objectsAt(status, 'initContainerStatuses')) {
    tally.addInit(entry, sidecars.has(stringAt(entry, 'name')));
  }
  if (init.reason !== undefined) reason = init.reason;
  ready += init.readySidecars;
  if (init.reason === undefined || condition(status, 'Initialized')?.['status'] === 'True') {
    const main = summarizeContainers(status, reason, tally);
    reason = main.reason;
    ready += main.ready;
  }
  if (objectAt(pod, 'metadata')?.['deletionTimestamp'] !== undefined) {
    if (stringAt(status, 'reason') === UNREACHABLE) reason = 'Unknown';
    else if (!ENDED.has(stringAt(status, 'phase'))) reason = 'Terminating';
  }
  const total = objectsAt(spec, 'containers').length + sidecars.size;
  return { ready: `${ready}/${total}`, status: reason, restarts: tally.print(now) };
}

function summarizeInit(
  spec: JsonObject,
  status: JsonObject,
  sidecars: ReadonlySet<string>,
): { reason: string | undefined; readySidecars: number } {
  const total = objectsAt(spec, 'initContainers').length;
  let readySidecars = 0;
  for (const [index, entry] of objectsAt(status, 'initContainerStatuses').entries()) {
    const state = objectAt(entry, 'state') ?? {};
    const terminated = objectAt(state, 'terminated');
    const waiting = stringAt(objectAt(state, 'waiting'), 'reason');
    if (terminated !== undefined && (numberAt(terminated, 'exitCode') ?? 0) === 0) continue;
    if (sidecars.has(stringAt(entry, 'name')) && entry['started'] === true) {
      if (entry['ready'] === true) readySidecars += 1;
      continue;
    }
    if (terminated !== undefined) return { reason: `Init:${terminatedReason(terminated)}`, readySidecars };
    if (waiting !== '' && waiting !== 'PodInitializing') return { reason: `Init:${waiting}`, readySidecars };
    return { reason: `Init:${index}/${total}`, readySidecars };
  }
  return { reason: undefined, readySidecars };
}

function summarizeContainers(
  status: JsonObject,
  before: string,
  tally: RestartTally,
): { reason: string; ready: number } {
  let reason = before;
  let ready = 0;
  let running = false;
  for (const entry of objectsAt(status, 'containerStatuses').toReversed()) {
    tally.add(entry);
    const state = objectAt(entry, 'state') ?? {};
    const terminated = objectAt(state, 'terminated');
    const waiting = stringAt(objectAt(state, 'waiting'), 'reason');
    if (waiting !== '') reason = waiting;
    else if (terminated !== undefined) reason = terminatedReason(terminated);
    else if (entry['ready'] === true && objectAt(state, 'running') !== undefined) {
      running = true;
      ready += 1;
    }
  }
  // A Pod that has finished containers and running ones runs.
  if (reason === 'Completed' && running) {
    reason = condition(status, 'Ready')?.['status'] === 'True' ? 'Running' : 'NotReady';
  }
  return { reason, ready };
}

function terminatedReason(terminated: JsonObject): string {
  const reason = stringAt(terminated, 'reason');
  if (reason !== '') return reason;
  const signal = numberAt(terminated, 'signal') ?? 0;
  return signal === 0 ? `ExitCode:${numberAt(terminated, 'exitCode') ?? 0}` : `Signal:${signal}`;
}

function condition(status: JsonObject, type: string): JsonObject | undefined {
  return objectsAt(status, 'conditions').find((entry) => entry['type'] === type);
}

/** Counts restarts; those of the main containers count alone once there are any, sidecars with them. */
class RestartTally {
  #initCount = 0;
  #initLast: number | undefined;
  #count = 0;
  #last: number | undefined;
  #main = false;

  addInit(entry: JsonObject, sidecar: boolean): void {
    const count = numberAt(entry, 'restartCount') ?? 0;
    const last = lastFinish(entry);
    this.#initCount += count;
    this.#initLast = later(this.#initLast, last);
    if (!sidecar) return;
    this.#count += count;
    this.#last = later(this.#last, last);
  }

  add(entry: JsonObject): void {
    this.#main = true;
    this.#count += numberAt(entry, 'restartCount') ?? 0;
    this.#last = later(this.#last, lastFinish(entry));
  }

  print(now: number): string {
    const count = this.#main ? this.#count : this.#initCount;
    const last = this.#main ? this.#last : this.#initLast;
    return count !== 0 && last !== undefined ? `${count} (${humanDuration(now - last)} ago)` : String(count);
  }
}

function lastFinish(entry: JsonObject): number | undefined {
  const finished = stringAt(objectAt(objectAt(entry, 'lastState'), 'terminated'), 'finishedAt');
  return finished === '' ? undefined : parseTime(finished);
}

function later(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.max(a, b);
}
