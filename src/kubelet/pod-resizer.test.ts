import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Pod } from '../kube/pod.ts';
import type { RuntimeService } from '../runtime/runtime-service.ts';
import { Allocations } from './allocations.ts';
import { PodPaths } from './pod-paths.ts';
import { PodResizer, refusalOfCapacity } from './pod-resizer.ts';

/* The words and the generations with which a kubelet tells of a Pod whose resources are changed. */

const GI = 2 ** 30;

function podAt(generation: number, cpu: string, memory: string): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'demo', uid: 'u', generation },
    spec: { containers: [{ name: 'c1', image: 'i', resources: { requests: { cpu, memory } } }] },
  };
}

const said = (cpu: string, memory: string, generation: number, more = ''): string =>
  `{"containers":[{"name":"c1","resources":{"requests":{"cpu":"${cpu}","memory":"${memory}"}}}],"generation":${generation}${more}}`;

test('a condition and an event of a resize have the generation that asked for it, and come once', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'drayage-resizer-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  const events: string[] = [];
  const resizer = new PodResizer({
    allocations: new Allocations(new PodPaths(root)),
    runtime: {} as RuntimeService,
    recorder: { event: (_, type, reason, message) => void events.push(`${type} ${reason} ${message}`) },
    refuse: (pod) => {
      const memory =
        pod.spec.containers[0]?.resources?.requests?.['memory'] === '4500Mi' ? 4500 * 2 ** 20 : GI;
      return refusalOfCapacity(new Map([['memory', memory]]), { memory: '4Gi' });
    },
    memoryBytes: 4 * GI,
  });
  const lacks = "Node didn't have enough capacity: memory, requested: 4718592000, capacity: 4294967296";
  const infeasible = { reason: 'Infeasible', message: lacks, observedGeneration: 2 };
  await resizer.admit(podAt(0, '500m', '500Mi'));
  for (const [what, pod, state, says] of [
    [
      'what fits is begun',
      podAt(1, '1', '1Gi'),
      { inProgress: { observedGeneration: 1 } },
      [`Normal ResizeStarted Pod resize started: ${said('1', '1Gi', 1)}`],
    ],
    [
      'what the node has not is refused beside it',
      podAt(2, '5', '4500Mi'),
      { inProgress: { observedGeneration: 1 }, pending: infeasible },
      [`Warning ResizeInfeasible Pod resize Infeasible: ${said('5', '4500Mi', 2, `,"error":"${lacks}"`)}`],
    ],
    [
      'the same again says nothing new',
      podAt(2, '5', '4500Mi'),
      { inProgress: { observedGeneration: 1 }, pending: infeasible },
      [],
    ],
    ['back to what was promised', podAt(3, '1', '1Gi'), { inProgress: { observedGeneration: 1 } }, []],
    ['something else was changed', podAt(4, '1', '1Gi'), { inProgress: { observedGeneration: 1 } }, []],
    [
      'another that fits',
      podAt(5, '500m', '500Mi'),
      { inProgress: { observedGeneration: 5 } },
      [`Normal ResizeStarted Pod resize started: ${said('500m', '500Mi', 5)}`],
    ],
  ] as const) {
    await resizer.admit(pod);
    assert.deepEqual(resizer.state('u'), state, what);
    assert.deepEqual(events.splice(0), says, what);
  }
});
