import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import { startTestApi, type TestApi } from '../../test/support/test-api.ts';
import { createInformer } from '../kube/client/informer.ts';
import type { Pod } from '../kube/pod.ts';
import { GRACE_MS, timeLeft, wantedTaints } from './node-lifecycle.ts';
import { NODES, PODS, SERVICE_ACCOUNTS } from './resource-types.ts';
import type { Node } from './scheduling-fit.ts';
import { startControllers } from './start-controllers.ts';

const node = (conditions: { type: string; status: string }[], unschedulable = false): Node => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'n' },
  spec: { unschedulable },
  status: { conditions },
});
const names = (of: Node): string[] => wantedTaints(of).map((taint) => `${taint.key}:${taint.effect}`);

test('a ready node has no taint, others have one for each reason', () => {
  assert.deepEqual(names(node([{ type: 'Ready', status: 'True' }])), []);
  assert.deepEqual(names(node([])), ['node.kubernetes.io/not-ready:NoSchedule']);
  assert.deepEqual(names(node([{ type: 'Ready', status: 'False' }])), [
    'node.kubernetes.io/not-ready:NoSchedule',
    'node.kubernetes.io/not-ready:NoExecute',
  ]);
  assert.deepEqual(
    names(
      node(
        [
          { type: 'Ready', status: 'True' },
          { type: 'DiskPressure', status: 'True' },
        ],
        true,
      ),
    ),
    ['node.kubernetes.io/disk-pressure:NoSchedule', 'node.kubernetes.io/unschedulable:NoSchedule'],
  );
});

test('a Pod stays as long as it bears every taint', () => {
  const at = Date.parse('2026-01-01T00:01:00Z');
  const taint = { key: 'a', effect: 'NoExecute', timeAdded: '2026-01-01T00:00:00Z' };
  assert.equal(timeLeft([], [taint], at), 0);
  assert.equal(timeLeft([{ key: 'a', operator: 'Exists' }], [taint], at), undefined);
  assert.equal(timeLeft([{ key: 'a', operator: 'Exists', tolerationSeconds: 300 }], [taint], at), 240_000);
  assert.equal(timeLeft([{ key: 'a', operator: 'Exists', tolerationSeconds: 30 }], [taint], at), 0);
  assert.equal(timeLeft([{ key: 'b', operator: 'Exists' }], [taint], at), 0);
});

let api: TestApi;
const clock = new ManualClock(Date.now());
const stop = new AbortController();

before(async () => {
  api = await startTestApi();
  await startControllers(api.client, { rootCa: api.pki.ca.cert, clock }, stop.signal).ready();
});
after(async () => {
  stop.abort();
  await api.close();
});

test('a node that falls silent becomes unknown, and its Pods go after the time they bear it', async () => {
  const nodes = createInformer<Node>(api.client, NODES, {}, stop.signal);
  const pods = createInformer<Pod>(api.client, PODS, { namespace: 'default' }, stop.signal);
  const accounts = createInformer(api.client, SERVICE_ACCOUNTS, { namespace: 'default' }, stop.signal);
  /** Lets controllers' time run until something holds; every step lets the network answer. */
  const advanceUntil = async (what: string, holds: () => boolean): Promise<number> => {
    const start = clock.now();
    while (!holds()) {
      assert.ok(clock.now() - start < 3600_000, what);
      await clock.advance(1000);
      await api.client.isReady(stop.signal);
    }
    return clock.now() - start;
  };
  await advanceUntil('the account is made', () => accounts.get('default', 'default') !== undefined);
  await api.client.create(NODES, node([]), stop.signal);
  const ready = { type: 'Ready', status: 'True', reason: 'KubeletReady', message: '' };
  const size = { cpu: '1', memory: '1Gi', pods: '9' };
  const status = { conditions: [ready], allocatable: size, capacity: size };
  await api.client.patch(NODES, { name: 'n' }, { status }, 'strategic', stop.signal, {
    subresource: 'status',
  });
  await api.client.create(
    PODS,
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'default' },
      spec: { containers: [{ name: 'a', image: 'x' }] },
    },
    stop.signal,
  );
  await advanceUntil('the Pod is placed', () => pods.get('default', 'p')?.spec.nodeName === 'n');
  const isUnknown = (): boolean =>
    nodes
      .get(undefined, 'n')
      ?.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'Unknown') ?? false;
  const silence = await advanceUntil('the node is unknown', isUnknown);
  assert.ok(silence >= GRACE_MS - 10_000, `${silence} ms`);
  await advanceUntil(
    'the node is tainted',
    () =>
      nodes
        .get(undefined, 'n')
        ?.spec?.taints?.some((t) => t.key === 'node.kubernetes.io/unreachable' && t.effect === 'NoExecute') ??
      false,
  );
  const left = await advanceUntil(
    'the Pod goes',
    () => pods.get('default', 'p')?.metadata.deletionTimestamp !== undefined,
  );
  assert.ok(left >= 290_000, `${left} ms: a Pod bears it for five minutes`);
});

test('a node that appears is registered in an event, and told how long it may keep secrets', async () => {
  const nodes = createInformer<Node>(api.client, NODES, {}, stop.signal);
  await api.client.create(NODES, { ...node([]), metadata: { name: 'newcomer' } }, stop.signal);
  const told = (): string | undefined =>
    nodes.get(undefined, 'newcomer')?.metadata.annotations?.['node.alpha.kubernetes.io/ttl'];
  for (let turn = 0; told() === undefined; turn++) {
    assert.ok(turn < 1000, 'the annotation never came');
    await clock.advance(100);
    await api.client.isReady(stop.signal);
  }
  assert.equal(told(), '0');
  const registered = async (): Promise<unknown> => {
    const { text } = await api.send('GET', '/api/v1/namespaces/default/events');
    const { items } = JSON.parse(text) as {
      items: { reason: string; message: string; involvedObject: { name: string } }[];
    };
    return items.find(
      ({ reason, involvedObject }) => reason === 'RegisteredNode' && involvedObject.name === 'newcomer',
    )?.message;
  };
  let message = await registered();
  for (let turn = 0; message === undefined; turn++) {
    assert.ok(turn < 1000, 'the event never came');
    await clock.advance(100);
    message = await registered();
  }
  assert.equal(message, 'Node newcomer event: Registered Node newcomer in Controller');
});
