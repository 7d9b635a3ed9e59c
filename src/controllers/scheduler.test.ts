import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestCluster, type TestCluster } from '../../test/support/test-cluster.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import { EVENTS, PODS } from './resource-types.ts';
import type { ResourceType } from '../kube/client/kube-client.ts';

/* The scheduler with one node of four CPUs. */

let cluster: TestCluster;
before(async () => {
  cluster = await startTestCluster({ n1: {} });
  await makeClass('low', { value: 1 });
  await makeClass('high', { value: 1000 });
  await makeClass('polite', { value: 1000, preemptionPolicy: 'Never' });
});
after(() => cluster.close());

const CLASSES: ResourceType = {
  group: 'scheduling.k8s.io',
  version: 'v1',
  resource: 'priorityclasses',
  kind: 'PriorityClass',
  namespaced: false,
};

async function makeClass(name: string, more: object): Promise<void> {
  const apiVersion = 'scheduling.k8s.io/v1';
  const object = { apiVersion, kind: 'PriorityClass', metadata: { name }, ...more };
  await cluster.api.client.create(CLASSES, object, cluster.signal);
}

const asking = (cpu: string, priorityClassName: string, more: object = {}): object => ({
  priorityClassName,
  containers: [{ name: 'a', image: 'x:1', resources: { requests: { cpu } } }],
  ...more,
});
const find = (pods: readonly Pod[], name: string): Pod | undefined =>
  pods.find(({ metadata }) => metadata.name === name);
const FULL = 'Warning FailedScheduling 0/1 nodes are available: 1 Insufficient cpu.';

test('a Pod of a higher class pushes lower ones off and takes their place', async () => {
  await cluster.newNamespace('pushed');
  await cluster.make(PODS, 'pushed', 'low-1', asking('2', 'low'));
  await cluster.make(PODS, 'pushed', 'low-2', asking('2', 'low'));
  await cluster.until<Pod>(PODS, 'pushed', (pods) => pods.every(({ status }) => status?.phase === 'Running'));
  await cluster.make(PODS, 'pushed', 'polite', asking('2', 'polite'));
  await cluster.told(
    'pushed',
    `${FULL} no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never.`,
  );
  await cluster.remove(PODS, 'pushed', 'polite');
  // Whoever is told to go keeps the node busy until somebody lets it go: the promise can be seen.
  for (const name of ['low-1', 'low-2'])
    await cluster.patch(PODS, 'pushed', name, { metadata: { finalizers: ['test.example/hold'] } });
  const high = await cluster.make(PODS, 'pushed', 'high', asking('3', 'high'));
  await cluster.told('pushed', FULL);
  await cluster.told('pushed', `Normal Preempted Preempted by pod ${high.metadata.uid ?? ''} on node n1`);
  const pods = await cluster.until<Pod>(
    PODS,
    'pushed',
    (all) => find(all, 'high')?.status?.nominatedNodeName === 'n1',
  );
  const going = await cluster.until<Pod>(PODS, 'pushed', (all) =>
    ['low-1', 'low-2'].every((name) => find(all, name)?.metadata.deletionTimestamp !== undefined),
  );
  const condition = find(going, 'low-1')?.status?.conditions?.find(({ type }) => type === 'DisruptionTarget');
  assert.equal(condition?.reason, 'PreemptionByScheduler');
  assert.equal(condition.message, 'default-scheduler: preempting to accommodate a higher priority pod');
  assert.equal(find(pods, 'high')?.spec.nodeName, undefined);
  for (const name of ['low-1', 'low-2'])
    await cluster.patch(PODS, 'pushed', name, { metadata: { finalizers: null } });
  const [placed] = await cluster.until<Pod>(
    PODS,
    'pushed',
    (all) => all.length === 1 && all[0]?.spec.nodeName === 'n1',
  );
  assert.equal(placed?.status?.nominatedNodeName, undefined, 'a promise kept is one no more');
  type Event = KubeObject & { reason?: string; related?: { name?: string } };
  const events = await cluster.until<Event>(EVENTS, 'pushed', (all) => all.length > 0);
  const preempted = events.find(({ reason }) => reason === 'Preempted');
  assert.equal(preempted?.related?.name, 'high');
  await cluster.remove(PODS, 'pushed', 'high');
});

test('a Pod that nobody can make room for says so', async () => {
  await cluster.newNamespace('stuck');
  await cluster.make(PODS, 'stuck', 'big', asking('5', 'high'));
  await cluster.told(
    'stuck',
    `${FULL} no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.`,
  );
  await cluster.make(PODS, 'stuck', 'first', asking('3', 'high'));
  await cluster.until<Pod>(PODS, 'stuck', (all) => find(all, 'first')?.spec.nodeName === 'n1');
  await cluster.make(PODS, 'stuck', 'second', asking('3', 'low'));
  await cluster.told(
    'stuck',
    `${FULL} no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.`,
  );
});

test('a Pod with gates says so from the start and is placed once they are gone', async () => {
  await cluster.newNamespace('gated');
  const made = await cluster.make(PODS, 'gated', 'p', {
    containers: [{ name: 'a', image: 'x:1' }],
    schedulingGates: [{ name: 'test.example/wait' }],
  });
  assert.deepEqual((made as Pod).status?.conditions, [
    {
      type: 'PodScheduled',
      status: 'False',
      lastProbeTime: null,
      lastTransitionTime: null,
      reason: 'SchedulingGated',
      message: 'Scheduling is blocked due to non-empty scheduling gates',
    },
  ]);
  await cluster.patch(PODS, 'gated', 'p', { spec: { schedulingGates: null } });
  await cluster.until<Pod>(PODS, 'gated', ([pod]) => pod?.spec.nodeName === 'n1');
});
