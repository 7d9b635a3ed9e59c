import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../kube/pod.ts';
import { count, hasFailed, JOB_FINALIZER, judge, type Job } from './job-verdict.ts';

function job(spec: Partial<Job['spec']> = {}): Job {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'j' },
    spec: { template: { spec: { containers: [], restartPolicy: 'Never' } }, ...spec },
  };
}
let uid = 0;
function pod(phase: string, metadata: object = {}, restartCount = 0): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', uid: `u${uid++}`, finalizers: [JOB_FINALIZER], ...metadata },
    spec: { containers: [] },
    status: { phase, containerStatuses: [{ restartCount }] },
  } as unknown as Pod;
}
const LEAVING = { deletionTimestamp: '2026-01-01T00:00:30Z', deletionGracePeriodSeconds: 30 };
const GONE = { deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 0 };

test('a deleted Pod has failed at once, or once it says so where only failed ones are replaced', () => {
  const failed = job({ podReplacementPolicy: 'Failed' });
  const either = job({ podReplacementPolicy: 'TerminatingOrFailed' });
  for (const [ended, whenFailed, whenEither] of [
    [pod('Running'), false, false],
    [pod('Running', LEAVING), false, true],
    [pod('Running', GONE), true, true],
    [pod('Failed', LEAVING), true, true],
    [pod('Succeeded', LEAVING), false, false],
  ] as const) {
    assert.equal(hasFailed(failed, ended), whenFailed, JSON.stringify(ended));
    assert.equal(hasFailed(either, ended), whenEither, JSON.stringify(ended));
  }
});

test('each Pod is counted once, and those that are new are told apart', () => {
  const [done, broken, known] = [pod('Succeeded'), pod('Failed'), pod('Failed')];
  const { uid: knownUid = '' } = known.metadata;
  const counted = count(
    { ...job(), status: { succeeded: 1, failed: 2, uncountedTerminatedPods: { failed: [knownUid] } } },
    [done, broken, known, pod('Failed', { finalizers: [] })],
  );
  assert.deepEqual([counted.succeeded, counted.failed], [2, 3]);
  assert.deepEqual(counted.ended, { succeeded: [done], failed: [broken] });
});

test('restarts in the Pods count towards the limit where that is how they are tried again', () => {
  const spec = (backoffLimit: number): Partial<Job['spec']> => ({
    backoffLimit,
    template: { spec: { containers: [], restartPolicy: 'OnFailure' } },
  });
  for (const [limit, restarts, reason] of [
    [0, 0, undefined],
    [0, 1, 'BackoffLimitExceeded'],
    [3, 2, undefined],
    [3, 3, 'BackoffLimitExceeded'],
  ] as const) {
    const one = job(spec(limit));
    const pods = [pod('Running', {}, restarts), pod('Failed', { finalizers: [] }, 99)];
    assert.equal(judge(one, count(one, pods), pods, 0)?.reason, reason, `${restarts} of ${limit}`);
  }
});
