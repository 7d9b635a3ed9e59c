import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { lookup } from 'node:dns/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { isSystemError } from '../../src/base/coded-error.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import type { Pod } from '../../src/kube/pod.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { findKind } from '../../src/kube/resources.ts';
import { serveRegistry, sha256 } from '../support/serve-registry.ts';
import { withNodeSystem, type NodeSystem } from './node-system.ts';
import { basicFront, pushTinyImage, tinyLayer } from './real-image.ts';

/*
 * Replays what was done to a cluster of Kubernetes 1.36.2 with containerd 2.3, and compares what it said: events in order and
 * number, every different status in order, and the image manager's records. The files in `fixtures/` hold the recordings.
 */

interface Recording {
  readonly about: string;
  readonly steps: readonly Step[];
  readonly pods: Readonly<Record<string, RecordedPod>>;
  readonly records: readonly object[];
}
interface RecordedPod {
  readonly events: RecordedEvent[];
  readonly statuses: object[];
  /** The whole object at the end. */
  readonly final?: object;
}
type Step = (
  | { readonly create: KubeObject }
  | { readonly patch: { kind: string; name: string }; readonly body: object }
) & { readonly whenSettled?: boolean };
interface RecordedEvent {
  readonly says: string;
  readonly of?: string;
  readonly count: number;
}

/** Time between two looks at a Pod that waits: enough for each back-off of a recording to pass. */
const STEP_MS = 10_000;
const MAX_STEPS = 20;

/** The address of a machine's name server is its own affair. */
const LOOKUP = /lookup UPPER(?: on \S+:53)?/;

const layer = await tinyLayer();
const directory = join(import.meta.dirname, 'fixtures');

for (const file of (await readdir(directory)).toSorted()) {
  const text = await readFile(join(directory, file), 'utf8');
  const { about } = JSON.parse(text) as Recording;
  const skip = text.includes('lookup UPPER') && !(await nobodyKnows('UPPER'));
  const options = { skip: skip ? 'this machine has no name server that says so' : false };
  test(`as recorded: ${file.replace('.json', '')}: ${about}`, options, async (t) => {
    const open = await serveRegistry(t);
    const hosts: Hosts = {
      open: open.host,
      private: await basicFront(t, open, { user: 'u', password: 'p' }),
    };
    const recording = JSON.parse(
      text.replaceAll('{open}', hosts.open).replaceAll('{private}', hosts.private),
    ) as Recording;
    const clock = new ManualClock(Date.now());
    await withNodeSystem({ realImages: true, clock }, async (system) => {
      await pushImages(recording, open, hosts);
      const created = new Set<string>();
      for (const step of recording.steps) {
        if (step.whenSettled === true) await settle(system, recording, created, clock);
        await take(system, step);
        if ('create' in step && step.create.kind === 'Pod') created.add(step.create.metadata.name);
      }
      await settle(system, recording, created, clock);
      for (const [name, expected] of Object.entries(recording.pods)) {
        const said = await events(system, name);
        assert.deepEqual(said, longer(expected.events, said), `events of ${name}`);
        assert.deepEqual(distinctStatuses(system, name), ofNode(expected.statuses), `statuses of ${name}`);
        if (expected.final !== undefined) {
          assert.deepEqual(whole(await system.pod(name)), normal(expected.final), `the whole of ${name}`);
        }
      }
      assert.deepEqual(await records(system), normal(recording.records), 'records');
    });
  });
}

async function nobodyKnows(host: string): Promise<boolean> {
  return await lookup(host).then(
    () => false,
    (error: unknown) => isSystemError(error, 'ENOTFOUND'),
  );
}

interface Hosts {
  readonly open: string;
  readonly private: string;
}

/** Pushes the image of every Pod that got its image in the recording. */
async function pushImages(
  recording: Recording,
  registry: Parameters<typeof pushTinyImage>[0],
  hosts: Hosts,
): Promise<void> {
  for (const step of recording.steps) {
    if (!('create' in step) || step.create.kind !== 'Pod') continue;
    const image = (step.create as Pod).spec.containers[0]?.image ?? '';
    const match = /^([^/]+)\/([a-z/]+)(?::(\w{1,9}))?$/.exec(image);
    if (match === null || match[2] === undefined || image.includes('absent')) continue;
    if (match[1] !== hosts.open && match[1] !== hosts.private) continue;
    await pushTinyImage(registry, layer, match[2], match[3] ?? 'latest');
  }
}

async function take(system: NodeSystem, step: Step): Promise<void> {
  if ('create' in step) {
    await system.create(step.create);
    return;
  }
  const type = findKind('v1', step.patch.kind);
  assert.ok(type !== undefined);
  const name = { namespace: 'default', name: step.patch.name };
  await system.client.patch(type, name, step.body, 'strategic', system.signal);
}

/** Lets time pass until every Pod there is has said what it said in the recording as often as there. */
async function settle(
  system: NodeSystem,
  recording: Recording,
  created: ReadonlySet<string>,
  clock: ManualClock,
): Promise<void> {
  for (const [name, { events: expected, statuses }] of Object.entries(recording.pods)) {
    if (!created.has(name)) continue;
    await system.until(name, 'there', (pod) => pod !== undefined);
    for (let steps = 0; ;) {
      const said = await events(system, name);
      const missing = expected.filter(
        (event) => !said.some(({ says, count }) => says === event.says && count >= event.count),
      );
      const last = JSON.stringify(normal(statuses.at(-1)));
      const shown = distinctStatuses(system, name).some((status) => JSON.stringify(status) === last);
      if (missing.length === 0 && shown) break;
      if (await changes(system, name, said)) continue;
      if (++steps > MAX_STEPS) break;
      await clock.advance(STEP_MS);
    }
  }
}

/** Waits a moment of real time for a Pod to say something new. */
async function changes(system: NodeSystem, name: string, before: RecordedEvent[]): Promise<boolean> {
  const shown = system.statuses(name).length;
  for (let tries = 0; tries < 40; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 25));
    if (system.statuses(name).length !== shown) return true;
    if (JSON.stringify(await events(system, name)) !== JSON.stringify(before)) return true;
  }
  return false;
}

/** The scheduler goes by a clock of its own here, so that its event may be anywhere: it is put where it was recorded, first. */
async function events(system: NodeSystem, name: string): Promise<RecordedEvent[]> {
  const all = await system.events(name);
  const scheduled = all.filter(({ line }) => line.startsWith('Normal Scheduled '));
  return [...scheduled, ...all.filter((event) => !scheduled.includes(event))].map(
    ({ line, count, fieldPath }) => ({
      says: line
        .replace(/in \S+ \(\S+ including/, 'in <dur> (<dur> including')
        .replace(/size: \d+ bytes/, 'size: <size> bytes')
        .replace(LOOKUP, 'lookup UPPER on <dns>:53'),
      ...(fieldPath === undefined ? {} : { of: fieldPath }),
      count,
    }),
  );
}

function distinctStatuses(system: NodeSystem, name: string): unknown[] {
  const seen = new Map<string, unknown>();
  for (const { status } of system.statuses(name)) {
    const shape = normal({
      phase: status?.phase,
      conditions: (status?.conditions ?? []).map(
        ({ type, status, reason, message }) =>
          [type, status, reason].filter((word) => word !== undefined).join(' ') +
          (message === undefined ? '' : `: ${message}`),
      ),
      containers: status?.containerStatuses?.map(shown),
    });
    seen.set(JSON.stringify(shape), shape);
  }
  return ofNode([...seen.values()]);
}

/** A Pod without what is different in each cluster: its own numbers, the machine's address, the runtime's name. */
function whole(pod: Pod | undefined): unknown {
  assert.ok(pod !== undefined);
  const { uid: _, resourceVersion: __, creationTimestamp: ___, ...metadata } = pod.metadata;
  const text = JSON.stringify(normal({ ...pod, metadata: { ...metadata, managedFields: undefined } }));
  return JSON.parse(
    text
      .replaceAll(/(?<=[iI][pP]":")127\.0\.0\.1/g, '<node-ip>')
      .replaceAll(/drayage:\/\/[0-9a-f]{64}/g, '<container>'),
  );
}

/** Leaves out what a Pod shows before its node has seen it. */
function ofNode(statuses: readonly unknown[]): unknown[] {
  return statuses
    .map(normal)
    .filter((status) => typeof status === 'object' && status !== null && 'containers' in status);
}

/** The parts of a container's status that the recordings have. */
function shown(status: NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number]): object {
  const { name, image, imageID, ready, started, restartCount, state, volumeMounts } = status;
  return { name, image, imageID, ready, started, restartCount, state, volumeMounts };
}

/** Pods share one clock here, so that some are watched for some rounds more than in the recording: the same for all that repeats. */
function longer(recorded: RecordedEvent[], said: RecordedEvent[]): RecordedEvent[] {
  const most = (list: RecordedEvent[]): number => Math.max(...list.map(({ count }) => count));
  const rounds = most(said) - most(recorded);
  return recorded.map((event) => (event.count === 1 ? event : { ...event, count: event.count + rounds }));
}

/** Takes away what is different each time: digests, times, random ends; sorts keys. */
function normal(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, each]) => each !== undefined);
    return Object.fromEntries(
      entries
        .toSorted(([one], [other]) => (one < other ? -1 : 1))
        .map(([key, each]) => [key, /(?:At|Time)$/.test(key) ? '<time>' : normal(each)]),
    );
  }
  if (typeof value !== 'string') return value;
  return value
    .replace(/sha256:[0-9a-f]{64}/, '<digest>')
    .replace(LOOKUP, 'lookup UPPER on <dns>:53')
    .replace(/^kube-api-access-.*/, 'kube-api-access-<random>');
}

/** Reads the records below the node's root; a record's file is named for the image that it is about. */
async function records(system: NodeSystem): Promise<unknown[]> {
  const found: unknown[] = [];
  const images = await system.stores().imageService.listImages(undefined, system.signal);
  const secrets = new Map<string, string>();
  const type = findKind('v1', 'Secret');
  assert.ok(type !== undefined);
  for (const { metadata } of (await system.client.list(type, {}, system.signal)).items) {
    secrets.set(metadata.uid ?? '', `<uid of secret default/${metadata.name}>`);
  }
  for (const folder of ['image_manager/pulling', 'image_manager/pulled']) {
    for (const file of (await readdir(join(system.root, folder))).toSorted()) {
      let text = await readFile(join(system.root, folder, file), 'utf8');
      for (const [uid, name] of secrets) text = text.replaceAll(uid, name);
      const record = JSON.parse(text) as { imageRef: string };
      assert.equal(file, sha256(record.imageRef).replace(':', '-'));
      assert.ok(images.some(({ id }) => id === record.imageRef));
      found.push(normal({ file: folder, ...record }));
    }
  }
  return found.toSorted((one, other) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1));
}
