import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../../kube/pod.ts';
import { runtimeOf, statusOf } from '../_container-fixture.ts';
import { removeDeadContainers } from './dead-containers.ts';

test('11.29 of Pods that have ended the ended containers go; a Pod that lives keeps its last ones', async () => {
  const removed: string[] = [];
  const runtime = runtimeOf({
    listContainers: ({ podUid = '' }) =>
      Promise.resolve([statusOf(`${podUid}-ended`, { state: 'exited' }), statusOf(`${podUid}-runs`)]),
    removeContainer: (id) => Promise.resolve(void removed.push(id)),
  });
  const phases = { done: 'Succeeded', failed: 'Failed', lives: 'Running', new: undefined };
  const pods = Object.keys(phases).map((uid): Pod => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: uid, uid },
    spec: { containers: [] },
  }));
  const phaseOf = ({ metadata }: Pod): string | undefined => phases[metadata.name as keyof typeof phases];
  await removeDeadContainers(runtime, pods, phaseOf, new AbortController().signal);
  assert.deepEqual(removed, ['id-done-ended', 'id-failed-ended']);
});
