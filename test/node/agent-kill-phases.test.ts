import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { isSystemError } from '../../src/base/coded-error.ts';
import { writeKubeconfig } from '../../src/daemon/kubeconfig.ts';
import { createInformer } from '../../src/kube/client/informer.ts';
import type { Informer, ResourceType } from '../../src/kube/client/kube-client.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import type { Pod } from '../../src/kube/pod.ts';
import { EVENTS } from '../../src/kubelet/event-recorder.ts';
import { PODS } from '../../src/kubelet/status-manager.ts';
import { FaultRegistry, sha256 } from '../support/fault-registry.ts';
import { startNodeProcess, type NodeProcess } from '../support/node-process.ts';
import { makeRoot, removeRoot } from '../support/running-system.ts';
import { tarOf } from '../support/tar-of.ts';
import { startTestApi, type TestApi } from '../support/test-api.ts';
import { tinyLayer } from './real-image.ts';

/*
 * kill -9 of the whole agent in each phase of a pull and of a Pod's start. The next agent brings the Pod to where it would have
 * been: what ran runs on, nothing is started twice, nothing is left over. Moments are those at which a registry is asked or the
 * API is told something; no test sleeps for a while and hopes.
 */

const NODE = 'killed';
const SERVICE_ACCOUNTS: ResourceType = {
  group: '',
  version: 'v1',
  resource: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
};
const LIMIT_MS = 200_000;
/** Large enough that unpacking it takes a moment that can be seen. */
const LARGE_FILE_BYTES = 96 * 1024 * 1024;

type Event = KubeObject & { reason?: string; involvedObject?: { name?: string } };

let api: TestApi;
let registry: FaultRegistry;
let root: string;
let node: NodeProcess;
let pods: Informer<Pod>;
let events: Informer<Event>;
let layer: { bytes: Buffer; diffId: string };
const ending = new AbortController();
const signal = AbortSignal.any([ending.signal, AbortSignal.timeout(LIMIT_MS)]);

before(async () => {
  root = makeRoot();
  api = await startTestApi();
  registry = await FaultRegistry.start();
  const plain = await tinyLayer();
  layer = { bytes: gzipSync(plain), diffId: sha256(plain) };
  const identity = await api.certificate(`system:node:${NODE}`, 'system:nodes');
  await mkdir(join(root, 'own'));
  await writeKubeconfig(join(root, 'kubeconfig'), {
    name: 'test',
    server: api.server.url,
    ca: api.pki.ca.cert,
    user: identity,
  });
  await api.client.create(
    SERVICE_ACCOUNTS,
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: 'default' } },
    signal,
  );
  pods = createInformer<Pod>(api.client, PODS, { namespace: 'default' }, signal);
  events = createInformer<Event>(api.client, EVENTS, { namespace: 'default' }, signal);
  node = await start();
});

after(async () => {
  await node.stop('SIGKILL');
  ending.abort();
  await registry.close();
  await api.close();
  removeRoot(root);
});

const own = (...parts: string[]): string => join(root, 'own', ...parts);

function start(): Promise<NodeProcess> {
  return startNodeProcess(['--kubeconfig', join(root, 'kubeconfig'), '--root', own(), '--node-name', NODE]);
}

async function killed(): Promise<void> {
  await node.stop('SIGKILL');
  registry.clearFaults();
}

/** Waits until something is as it should be; looks again whenever the API tells something. */
async function until<T>(what: string, find: () => T | undefined | Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await find();
    if (found !== undefined) return found;
    if (signal.aborted) throw new Error(`never: ${what}; ${node.output()}`);
    await new Promise<void>((resolve) => setTimeout(resolve, 5));
  }
}

const said = (pod: string, reason: string): Promise<unknown> =>
  until(`${reason} of ${pod}`, () =>
    events.values().find((event) => event.reason === reason && event.involvedObject?.name === pod),
  );

const state = (name: string): Pod['status'] => pods.get('default', name)?.status;
const running = (name: string): Promise<string> =>
  until(`${name} runs`, () => {
    const status = state(name)?.containerStatuses?.[0];
    return status?.state?.running === undefined ? undefined : status.containerID;
  });

/** A Pod that writes a line into a file whenever its container starts. */
async function createPod(name: string, image: string, trap = 'exit 0'): Promise<void> {
  const script = `echo start >> /host/${name}; trap "${trap}" TERM; sleep 1000000 & wait`;
  await mkdir(own('host'), { recursive: true });
  await api.client.create<Pod>(
    PODS,
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default' },
      spec: {
        nodeName: NODE,
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name: 'a',
            image,
            command: ['/bin/sh', '-c', script],
            volumeMounts: [{ name: 'host', mountPath: '/host' }],
          },
        ],
        volumes: [{ name: 'host', hostPath: { path: own('host') } }],
      },
    },
    signal,
  );
}

/** An image whose layer no other has, so that each phase begins from nothing. */
function putImage(name: string, more: Buffer = Buffer.from(name)): string {
  const tar = tarOf({ path: `${name}.txt`, content: more });
  registry.putImage(name, '1', [layer, { bytes: gzipSync(tar), diffId: sha256(tar) }]);
  return `${registry.host}/${name}:1`;
}

/** A container runs, for the API, a moment before its program has written its first line. */
async function starts(name: string): Promise<number> {
  const text = await readFile(own('host', name), 'utf8').catch((error: unknown) => {
    if (isSystemError(error, 'ENOENT')) return '';
    throw error;
  });
  return text.split('\n').filter((line) => line !== '').length;
}

/**
 * Checks what must hold once a Pod runs after the agent was killed, whatever the moment was.
 *
 * @param most restarts that may be counted: none where the container was started, or never made
 */
async function assertSettled(name: string, most = 0): Promise<string> {
  const id = await running(name);
  assert.equal(await until('it has begun', async () => (await starts(name)) || undefined), 1);
  const restarts = state(name)?.containerStatuses?.[0]?.restartCount ?? NaN;
  assert.ok(restarts <= most, `${restarts} restarts`);
  assert.deepEqual(await readdir(own('image_manager', 'pulling')), [], 'intents of pulls');
  assert.deepEqual(await readdir(own('layers', 'staging')), [], 'half-unpacked layers');
  assert.deepEqual(await readdir(own('content', 'ingest')), [], 'half-fetched content');
  return id;
}

/** Deletes a Pod and checks that nothing of it stays. */
async function assertGone(name: string): Promise<void> {
  const target = { namespace: 'default', name };
  await api.client.delete(PODS, target, signal);
  await assertCleared(name);
}

async function assertCleared(name: string): Promise<void> {
  await until(`${name} is gone`, () => (pods.get('default', name) === undefined ? true : undefined));
  await until('its directories are gone', async () => {
    const left = [...(await readdir(own('kubelet', 'pods'))), ...(await namesIn(own('kubelet', 'pod-logs')))];
    return left.length === 0 ? true : undefined;
  });
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .filter((line) => (line.split(' ')[4] ?? '').startsWith(own()));
  assert.deepEqual(mounts, [], 'mounts');
  assert.deepEqual(await namesIn(own('run', 'containers')), [], 'containers');
}

async function namesIn(directory: string): Promise<string[]> {
  return await readdir(directory).catch(() => []);
}

/** Moments of a pull: each waits until it is there. */
const PULL_PHASES: Readonly<Record<string, (pod: string, image: string) => Promise<void>>> = {
  resolving: async (pod, image) => {
    registry.fault('HEAD', /manifests/, { kind: 'hangUp' });
    registry.fault('GET', /manifests/, { kind: 'stall', afterBytes: 0 });
    const asked = registry.nextRequest('GET', /manifests/);
    await createPod(pod, image);
    await asked;
  },
  downloading: async (pod, image) => {
    registry.fault('GET', /blobs/, { kind: 'stall', afterBytes: 40 });
    const asked = registry.nextRequest('GET', /blobs/);
    await createPod(pod, image);
    await asked;
  },
  queued: async (pod, image) => {
    // Another pull is in the way: one goes at a time.
    const other = putImage(`${pod}-other`);
    registry.fault('GET', /manifests/, { kind: 'stall', afterBytes: 0 });
    registry.fault('HEAD', /manifests/, { kind: 'stall', afterBytes: 0 });
    await createPod(`${pod}-other`, other);
    await said(`${pod}-other`, 'Pulling');
    await createPod(pod, image);
    await said(pod, 'Pulling');
  },
  unpacking: async (pod) => {
    const large = putImage(pod, Buffer.alloc(LARGE_FILE_BYTES));
    await createPod(pod, large);
    await until('a layer is being unpacked', async () => {
      return (await namesIn(own('layers', 'staging'))).length > 0 ? true : undefined;
    });
  },
  recorded: async (pod, image) => {
    await createPod(pod, image);
    await said(pod, 'Pulled');
  },
};

for (const [phase, reach] of Object.entries(PULL_PHASES)) {
  test(`an agent that is killed while a pull is ${phase} pulls on and starts the container once`, async () => {
    const name = `pull-${phase}`;
    await reach(name, putImage(name));
    await killed();
    node = await start();
    await assertSettled(name);
    const others = phase === 'queued' ? [`${name}-other`] : [];
    for (const other of others) await running(other);
    for (const each of others) await api.client.delete(PODS, { namespace: 'default', name: each }, signal);
    await assertGone(name);
  });
}

/** Moments of a Pod's start, and whether its container must be the same afterwards. */
const START_PHASES: Readonly<Record<string, (pod: string, image: string) => Promise<void>>> = {
  'has its sandbox': async (pod, image) => {
    registry.fault('GET', /manifests/, { kind: 'stall', afterBytes: 0 });
    registry.fault('HEAD', /manifests/, { kind: 'stall', afterBytes: 0 });
    await createPod(pod, image);
    await until('the sandbox is there', () =>
      state(pod)?.conditions?.find(
        ({ type, status }) => type === 'PodReadyToStartContainers' && status === 'True',
      ),
    );
  },
  'has its container created': async (pod, image) => {
    await createPod(pod, image);
    await said(pod, 'Created');
  },
  'has its container started': async (pod, image) => {
    await createPod(pod, image);
    await said(pod, 'Started');
  },
  runs: async (pod, image) => {
    await createPod(pod, image);
    await running(pod);
    await until('it has begun', async () => ((await namesIn(own('host'))).includes(pod) ? true : undefined));
  },
};

for (const [phase, reach] of Object.entries(START_PHASES)) {
  test(`an agent that is killed when a Pod ${phase} takes it up where it was`, async () => {
    const name = `start-${phase.replaceAll(' ', '-')}`;
    await reach(name, putImage(name));
    const before = state(name)?.containerStatuses?.[0]?.containerID;
    await killed();
    node = await start();
    // One that was made and not started is made again, as a kubelet does it, and that counts.
    const id = await assertSettled(name, phase === 'has its container created' ? 1 : 0);
    if (before !== undefined && before !== '') assert.equal(id, before);
    await assertGone(name);
  });
}

test('an agent that is killed while a Pod ends sees it to its end', async () => {
  const name = 'ending';
  // Deaf to the signal: it takes its whole grace.
  await createPod(name, putImage(name), 'true');
  await running(name);
  await api.client.delete(PODS, { namespace: 'default', name }, signal);
  await said(name, 'Killing');
  await killed();
  node = await start();
  await assertCleared(name);
  assert.equal(await starts(name), 1);
});

test('a Pod that is deleted for good while the agent is dead leaves nothing behind', async () => {
  const name = 'orphan';
  await createPod(name, putImage(name));
  await running(name);
  await killed();
  await api.client.delete(PODS, { namespace: 'default', name }, signal, { gracePeriodSeconds: 0 });
  node = await start();
  await assertCleared(name);
  await rm(own('host', name), { force: true });
});
