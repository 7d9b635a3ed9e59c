import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../src/base/manual-clock.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { findKind } from '../../src/kube/resources.ts';
import { createEventRecorder, EVENTS } from '../../src/kubelet/event-recorder.ts';
import { NODES } from '../../src/kubelet/node/node-agent.ts';
import type { NodeObject } from '../../src/kubelet/node/node-object.ts';
import { NODE, withNodeSystem, type NodeSystem } from './node-system.ts';

async function nodeObject(system: NodeSystem): Promise<NodeObject> {
  return await system.client.get<NodeObject>(NODES, { name: NODE }, system.signal);
}

test('the Node says what a kubelet’s says: labels, capacity, conditions, addresses, versions', async () => {
  await withNodeSystem({}, async (system) => {
    const { metadata, status } = await nodeObject(system);
    assert.deepEqual(metadata.labels, {
      'beta.kubernetes.io/arch': 'amd64',
      'beta.kubernetes.io/os': 'linux',
      'kubernetes.io/arch': 'amd64',
      'kubernetes.io/hostname': NODE,
      'kubernetes.io/os': 'linux',
    });
    assert.deepEqual(
      status?.conditions?.map(({ type, status, reason }) => `${type} ${status} ${reason ?? ''}`),
      [
        'MemoryPressure False KubeletHasSufficientMemory',
        'DiskPressure False KubeletHasNoDiskPressure',
        'PIDPressure False KubeletHasSufficientPID',
        'Ready True KubeletReady',
      ],
    );
    assert.deepEqual(status?.addresses, [
      { type: 'InternalIP', address: '127.0.0.1' },
      { type: 'Hostname', address: NODE },
    ]);
    assert.equal(status?.nodeInfo?.['containerRuntimeVersion'], 'drayage://0.1.0');
    assert.equal(status?.nodeInfo?.['operatingSystem'], 'linux');
    assert.equal(status?.capacity?.['pods'], '110');
    assert.match(status?.capacity?.['memory'] ?? '', /^\d+Ki$/);
    assert.ok((status?.daemonEndpoints?.kubeletEndpoint.Port ?? 0) > 0);
    const lease = findKind('coordination.k8s.io/v1', 'Lease');
    assert.ok(lease);
    const held = await system.client.get<KubeObject & { spec: Record<string, unknown> }>(
      lease,
      { namespace: 'kube-node-lease', name: NODE },
      system.signal,
    );
    assert.equal(held.spec['holderIdentity'], NODE);
    assert.equal(held.spec['leaseDurationSeconds'], 40);
  });
});

test('13.1 the Node lists its images after a pull', async () => {
  const clock = new ManualClock(Date.now());
  await withNodeSystem({ clock }, async (system) => {
    await system.createPod('p', {
      restartPolicy: 'Never',
      containers: [{ name: 'a', image: 'registry.example/tiny:1', command: ['/bin/true'] }],
    });
    await system.until('p', 'Succeeded', (pod) => pod?.status?.phase === 'Succeeded');
    await clock.advance(30_000);
    await system.kubelet().refreshNode();
    const { status } = await nodeObject(system);
    assert.deepEqual(status?.images, [
      {
        names: [`registry.example/tiny@sha256:${'b'.repeat(64)}`, 'registry.example/tiny:1'],
        sizeBytes: 1_032_727,
      },
    ]);
  });
});

test('11.28 11.30 11.31 a node short of memory says so, evicts its Pods and refuses new ones', async () => {
  await withNodeSystem({ evictionHard: { 'memory.available': '1Ei' } }, async (system) => {
    for (;;) {
      const { status } = await nodeObject(system);
      const condition = status?.conditions?.find(({ type }) => type === 'MemoryPressure');
      if (condition?.status === 'True') {
        assert.equal(condition.reason, 'KubeletHasInsufficientMemory');
        assert.equal(condition.message, 'kubelet has insufficient memory available');
        break;
      }
    }
    // Bound past the scheduler, which would keep Pods away from such a node.
    await system.createPod('p', {
      nodeName: NODE,
      containers: [{ name: 'a', image: 'registry.example/tiny:1' }],
    });
    const pod = await system.until('p', 'Failed', (pod) => pod?.status?.phase === 'Failed');
    assert.equal(pod?.status?.reason, 'Evicted');
    assert.equal(pod?.status?.message, 'Pod was rejected: The node had condition: [MemoryPressure]. ');
  });
});

test('the node tells how it began and what it has, as events of the Node', async () => {
  await withNodeSystem({}, async (system) => {
    const lines = (await system.events(NODE)).map(({ line }) => line);
    // What the controllers say comes when they have seen the Node.
    const said = lines.filter((line) => !line.startsWith('Normal RegisteredNode'));
    assert.deepEqual(said.toSorted(), [
      'Normal NodeHasNoDiskPressure Node n1 status is now: NodeHasNoDiskPressure',
      'Normal NodeHasSufficientMemory Node n1 status is now: NodeHasSufficientMemory',
      'Normal NodeHasSufficientPID Node n1 status is now: NodeHasSufficientPID',
      'Normal NodeReady Node n1 status is now: NodeReady',
      'Normal Starting Starting kubelet.',
    ]);
  });
});

test('a Pod that was bound here but does not fit fails at once and says why', async () => {
  await withNodeSystem({ maxPods: 1 }, async (system) => {
    const command = ['/bin/sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.05; done'];
    const containers = [{ name: 'a', image: 'registry.example/tiny:1', command }];
    await system.createPod('first', { nodeName: NODE, containers });
    await system.until('first', 'running', (pod) => pod?.status?.phase === 'Running');
    await system.createPod('second', { nodeName: NODE, containers });
    const second = await system.until('second', 'failed', (pod) => pod?.status?.phase === 'Failed');
    const words = "Node didn't have enough resource: pods, requested: 1, used: 1, capacity: 1";
    assert.equal(second?.status?.reason, 'OutOfpods');
    assert.equal(second?.status?.message, `Pod was rejected: ${words}`);
    assert.deepEqual(
      (await system.events('second')).map(({ line }) => line),
      [`Warning OutOfpods ${words}`],
    );
    assert.equal((await nodeObject(system)).status?.capacity?.['pods'], '1');
  });
});

test('identical events are counted in one object, different ones of a kind are joined after ten', async () => {
  const clock = new ManualClock(Date.now());
  await withNodeSystem({}, async (system) => {
    const recorder = createEventRecorder({ client: system.client, component: 'kubelet', host: NODE, clock });
    const object = { apiVersion: 'v1', kind: 'Pod', namespace: 'default', name: 'e', uid: 'u' };
    for (let n = 0; n < 3; n++) recorder.event(object, 'Normal', 'Same', 'again');
    for (let n = 0; n < 12; n++) recorder.event(object, 'Warning', 'Many', `number ${n}`);
    await recorder.flush();
    const { items } = await system.client.list<KubeObject & Record<string, unknown>>(
      EVENTS,
      { namespace: 'default', fieldSelector: 'involvedObject.name=e' },
      system.signal,
    );
    const same = items.filter((event) => event['reason'] === 'Same');
    assert.equal(same.length, 1);
    assert.equal(same[0]?.['count'], 3);
    assert.match(same[0]?.metadata.name ?? '', /^e\.[0-9a-f]{16}$/);
    assert.deepEqual(same[0]?.['source'], { component: 'kubelet', host: NODE });
    assert.equal(same[0]?.['reportingComponent'], 'kubelet');
    assert.equal(same[0]?.['reportingInstance'], NODE);
    const many = items.filter((event) => event['reason'] === 'Many');
    assert.equal(many.length, 10);
    const joined = many.find((event) =>
      String(event['message']).startsWith('(combined from similar events): '),
    );
    assert.equal(joined?.['count'], 3);
    assert.equal(joined?.['message'], '(combined from similar events): number 11');
    await recorder.close();
  });
});

test('a source that floods one object with events is cut off after 25 and gets one more in five minutes', async () => {
  const clock = new ManualClock(Date.now());
  await withNodeSystem({}, async (system) => {
    const recorder = createEventRecorder({ client: system.client, component: 'kubelet', host: NODE, clock });
    const object = { apiVersion: 'v1', kind: 'Pod', namespace: 'default', name: 'flood', uid: 'u' };
    const count = async (): Promise<number> => {
      await recorder.flush();
      const { items } = await system.client.list<KubeObject & { count?: number }>(
        EVENTS,
        { namespace: 'default', fieldSelector: 'involvedObject.name=flood' },
        system.signal,
      );
      return items.reduce((sum, event) => sum + (event.count ?? 0), 0);
    };
    for (let n = 0; n < 40; n++) recorder.event(object, 'Normal', 'Flood', 'x');
    assert.equal(await count(), 25);
    await clock.advance(300_000);
    recorder.event(object, 'Normal', 'Flood', 'x');
    recorder.event(object, 'Normal', 'Flood', 'x');
    // One more is written, and it tells of those that were held back.
    assert.equal(await count(), 41);
    await recorder.close();
  });
});
