import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/manual-clock.ts';
import { KubeApiError } from '../../kube/client/kube-api-error.ts';
import type { KubeClient, ResourceType } from '../../kube/client/kube-client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { silentLogger } from '../../observe/logger.ts';
import type { MachineFacts } from './machine-facts.ts';
import { NodeAgent } from './node-agent.ts';
import type { NodeFacts } from './node-object.ts';

/* A node beside an API that keeps objects and notes what is asked of it: when status and lease are sent, and when not. */

const MACHINE: MachineFacts = {
  cpus: 2,
  memoryBytes: 2 ** 30,
  storageBytes: 2 ** 30,
  hugePages: new Map(),
  machineId: 'm',
  systemUuid: 'm',
  bootId: 'b',
  kernelVersion: '6.1',
  osImage: 'Linux',
};

function bench() {
  const clock = new ManualClock(0);
  const objects = new Map<string, KubeObject>();
  const asked: string[] = [];
  const missing = (): KubeApiError => new KubeApiError('NotFound', 'not found');
  const client = {
    create: <T extends KubeObject>({ resource }: ResourceType, object: T) => {
      asked.push(`create ${resource}`);
      if (objects.has(resource)) return Promise.reject(new KubeApiError('AlreadyExists', 'exists'));
      objects.set(resource, object);
      return Promise.resolve(object);
    },
    patch: <T extends KubeObject>({ resource }: ResourceType, _: unknown, change: object) => {
      asked.push(`patch ${resource}`);
      const object = objects.get(resource);
      if (object === undefined) return Promise.reject(missing());
      const patched = { ...object, ...change };
      objects.set(resource, patched);
      return Promise.resolve(patched as unknown as T);
    },
    get: <T extends KubeObject>({ resource }: ResourceType) =>
      objects.has(resource) ? Promise.resolve(objects.get(resource) as T) : Promise.reject(missing()),
  } as unknown as KubeClient;
  const pressures = { memory: false, disk: false, pid: false };
  const object = { apiVersion: 'v1', kind: 'Node', name: 'n', uid: 'n' };
  const facts = (): Promise<NodeFacts> =>
    Promise.resolve({
      name: 'n',
      platform: { os: 'linux', architecture: 'amd64' },
      address: '127.0.0.1',
      machine: MACHINE,
      runtimeVersion: 'r://1',
      images: [],
      pressures: { ...pressures },
      port: 0,
      now: clock.now(),
    });
  const recorder = { event: () => undefined };
  const agent = new NodeAgent({ client, clock, logger: silentLogger, facts, recorder, object });
  return { agent, clock, objects, asked, pressures };
}

test(
  'the lease is renewed every ten seconds and holds for forty; a status that is the same is sent every five minutes, a new one at once',
  { timeout: 10_000 },
  async () => {
    const { agent, clock, objects, asked, pressures } = bench();
    const stop = new AbortController();
    await agent.register(stop.signal);
    const lease = objects.get('leases') as unknown as { spec: { leaseDurationSeconds: number } };
    assert.equal(lease.spec.leaseDurationSeconds, 40);
    const running = agent.run(stop.signal);
    const after = async (seconds: number): Promise<Record<string, number>> => {
      asked.length = 0;
      for (let each = 0; each < seconds; each += 10) {
        await clock.advance(10_000);
        await new Promise((resolve) => setImmediate(resolve));
      }
      return Object.fromEntries(
        [...new Set(asked)].map((what) => [what, asked.filter((one) => one === what).length]),
      );
    };
    assert.deepEqual(await after(290), { 'patch leases': 29 });
    assert.deepEqual(await after(10), { 'patch leases': 1, 'patch nodes': 1 });
    pressures.disk = true;
    assert.deepEqual(await after(10), { 'patch leases': 1, 'patch nodes': 1 });
    // Somebody deletes both; the agent lives.
    objects.clear();
    pressures.disk = false;
    const again = await after(20);
    assert.deepEqual([again['create nodes'], again['create leases']], [1, 1]);
    stop.abort();
    await running;
  },
);
