import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../../src/kube/pod.ts';
import { NODES } from '../../src/kubelet/node/node-agent.ts';
import { NODE, withNodeSystem, type NodeSystem } from './node-system.ts';

const FOREVER = ['/bin/sh', '-c', 'trap "exit 0" TERM; sleep 1000000 & wait'];
const container = { name: 'a', image: 'registry.example/tiny:1', command: FOREVER };
const running = (pod: Pod | undefined): boolean => pod?.status?.phase === 'Running';
const failed = (pod: Pod | undefined): boolean => pod?.status?.phase === 'Failed';

async function lines(system: NodeSystem, name: string): Promise<string[]> {
  return (await system.events(name)).map(({ line }) => line).filter((line) => !line.includes(' Scheduled '));
}

test('a Pod for a label that somebody has just given the node is let in; one for a label that it has not is refused', async () => {
  await withNodeSystem({}, async (system) => {
    const labels = { metadata: { labels: { disk: 'ssd' } } };
    await system.client.patch(NODES, { name: NODE }, labels, 'merge', system.signal);
    await system.createPod('p', { nodeName: NODE, nodeSelector: { disk: 'ssd' }, containers: [container] });
    await system.createPod('q', { nodeName: NODE, nodeSelector: { disk: 'tape' }, containers: [container] });
    await system.until('p', 'running', running);
    const refused = await system.until('q', 'refused', failed);
    assert.equal(refused?.status?.reason, 'NodeAffinity');
    assert.equal(
      refused?.status?.message,
      "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
    );
    assert.deepEqual(await lines(system, 'q'), [
      "Warning NodeAffinity Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
    ]);
  });
});

test('for a critical Pod that does not fit another is ended, which says so; without anybody to end it is refused', async () => {
  await withNodeSystem({ maxPods: 2 }, async (system) => {
    const asking = { ...container, resources: { requests: { cpu: '10m' } } };
    await system.createPod('small', { nodeName: NODE, containers: [container] });
    await system.createPod('asking', { nodeName: NODE, containers: [asking] });
    for (const name of ['small', 'asking']) await system.until(name, 'running', running);
    await system.createPod('refused', { nodeName: NODE, containers: [container] });
    assert.equal((await system.until('refused', 'refused', failed))?.status?.reason, 'OutOfpods');

    const critical = { priorityClassName: 'system-node-critical', containers: [container] };
    const inSystem = { nodeName: NODE, ...critical };
    await system.createPod('first', inSystem);
    await system.until('first', 'running', running);
    const ended = await system.until('small', 'ended', failed);
    assert.equal(ended?.status?.reason, 'Preempting');
    assert.equal(ended?.status?.message, 'Preempted in order to admit critical pod');
    const disruption = ended?.status?.conditions?.find(({ type }) => type === 'DisruptionTarget');
    assert.deepEqual(
      [disruption?.status, disruption?.reason, disruption?.message],
      ['True', 'TerminationByKubelet', 'Pod was preempted by Kubelet to accommodate a critical pod.'],
    );
    assert.ok(
      (await lines(system, 'small')).includes('Warning Preempting Preempted in order to admit critical pod'),
    );
    assert.ok(running(await system.pod('asking')), 'one that promises more stays');

    await system.createPod('second', inSystem);
    await system.until('second', 'running', running);
    await system.until('asking', 'ended', failed);
    await system.createPod('third', inSystem);
    const third = await system.until('third', 'refused', failed);
    assert.equal(third?.status?.reason, 'UnexpectedAdmissionError');
    assert.match(
      third?.status?.message ?? '',
      /^Pod was rejected: Unexpected error while attempting to recover from admission failure: preemption: error finding a set of pods to preempt: no set of running pods found to reclaim resources: \[\(res: pods, q: 1\), \]$/,
    );
  });
});
