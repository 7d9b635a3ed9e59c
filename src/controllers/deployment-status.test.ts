import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatTime } from '../kube/time.ts';
import {
  deploymentStatus,
  isComplete,
  newSetCondition,
  pauseCondition,
  untilTimeOut,
  type StatusView,
} from './deployment-status.ts';
import type { Deployment, DeploymentStatus, ReplicaSet } from './workloads.ts';

const START = Date.parse('2026-01-01T00:00:00Z');
const SECOND = 1000;

function deployment(status: DeploymentStatus = {}, spec: Partial<Deployment['spec']> = {}): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', generation: 1 },
    spec: {
      replicas: 2,
      selector: {},
      template: { spec: { containers: [] } },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
      progressDeadlineSeconds: 10,
      ...spec,
    },
    status,
  };
}
const set = (
  name: string,
  replicas: number,
  available: number,
  conditions?: ReplicaSet['status'],
): ReplicaSet => ({
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  metadata: { name },
  spec: { replicas, selector: {}, template: { spec: { containers: [] } } },
  status: { replicas, readyReplicas: available, availableReplicas: available, ...conditions },
});
const view = (after: number, more: Partial<StatusView> = {}): StatusView => ({
  now: START + after * SECOND,
  isRolling: true,
  ...more,
});
const words = ({ conditions = [] }: DeploymentStatus): string[] =>
  conditions.map(({ type, status, reason, message }) => `${type} ${status} ${reason}: ${message}`);
const FEW = 'Available False MinimumReplicasUnavailable: Deployment does not have minimum availability.';
const ENOUGH = 'Available True MinimumReplicasAvailable: Deployment has minimum availability.';

test('a roll-out tells of its set, its progress and its end', () => {
  const created = newSetCondition(deployment(), 'web-1', { created: true });
  const empty = { ...set('web-1', 2, 0), status: { replicas: 0 } };
  const begun = deploymentStatus(deployment(), [empty], empty, view(0, { noted: created }));
  assert.deepEqual(words(begun), [
    'Progressing True NewReplicaSetCreated: Created new replica set "web-1"',
    FEW,
  ]);
  const half = set('web-1', 2, 1);
  const going = deploymentStatus(deployment(begun), [half], half, view(3));
  assert.deepEqual(words(going), [
    FEW,
    'Progressing True ReplicaSetUpdated: ReplicaSet "web-1" is progressing.',
  ]);
  const [, progressing] = going.conditions ?? [];
  assert.equal(progressing?.lastUpdateTime, formatTime(START + 3 * SECOND));
  assert.equal(progressing.lastTransitionTime, formatTime(START), 'it was true before');
  const full = set('web-1', 2, 2);
  const done = deploymentStatus(deployment(going), [full], full, view(5));
  assert.deepEqual(words(done), [
    ENOUGH,
    'Progressing True NewReplicaSetAvailable: ReplicaSet "web-1" has successfully progressed.',
  ]);
  assert.equal(isComplete(deployment(done), done), true);
});

test('a Pod that fails after the roll-out is no news of the roll-out', () => {
  const full = set('web-1', 2, 2);
  const done = deploymentStatus(deployment(), [full], full, view(0));
  const less = set('web-1', 2, 1);
  const after = deploymentStatus(deployment(done), [less], less, view(100));
  assert.deepEqual(words(after).sort(), [
    FEW,
    'Progressing True NewReplicaSetAvailable: ReplicaSet "web-1" has successfully progressed.',
  ]);
  assert.equal(untilTimeOut(deployment(done), after, START), undefined);
});

test('a roll-out without progress times out, once, and goes on when there is some', () => {
  const none = set('web-1', 2, 0);
  const created = newSetCondition(deployment(), 'web-1', { created: true });
  const begun = deploymentStatus(deployment(), [none], none, view(0, { noted: created }));
  assert.equal(untilTimeOut(deployment(), begun, START + 4 * SECOND), 6 * SECOND);
  const waiting = deploymentStatus(deployment(begun), [none], none, view(10));
  assert.deepEqual(words(waiting), words(begun), 'just not yet');
  const late = deploymentStatus(deployment(begun), [none], none, view(11));
  assert.deepEqual(words(late), [
    FEW,
    'Progressing False ProgressDeadlineExceeded: ReplicaSet "web-1" has timed out progressing.',
  ]);
  assert.equal(untilTimeOut(deployment(), late, START), undefined);
  assert.deepEqual(deploymentStatus(deployment(late), [none], none, view(50)), late);
  assert.equal(pauseCondition(deployment(late, { paused: true })), undefined, 'the failure stays in sight');
  const one = set('web-1', 2, 1);
  assert.ok(
    words(deploymentStatus(deployment(late), [one], one, view(60))).includes(
      'Progressing True ReplicaSetUpdated: ReplicaSet "web-1" is progressing.',
    ),
  );
});

test('pausing and resuming are told where progress is watched', () => {
  const full = set('web-1', 2, 2);
  const done = deploymentStatus(deployment(), [full], full, view(0));
  const paused = pauseCondition(deployment(done, { paused: true }));
  const status = deploymentStatus(
    deployment(done),
    [full],
    full,
    view(1, { noted: paused, isRolling: false }),
  );
  assert.deepEqual(words(status), [ENOUGH, 'Progressing Unknown DeploymentPaused: Deployment is paused']);
  assert.equal(pauseCondition(deployment(status, { paused: true })), undefined);
  assert.equal(pauseCondition(deployment(status))?.reason, 'DeploymentResumed');
  const unwatched = { progressDeadlineSeconds: 2 ** 31 - 1 };
  assert.equal(pauseCondition(deployment(done, { ...unwatched, paused: true })), undefined);
  assert.deepEqual(words(deploymentStatus(deployment(done, unwatched), [full], full, view(2))), [ENOUGH]);
});

test('a set that cannot be made, and one that cannot make Pods, are told', () => {
  const refused = newSetCondition(deployment(), 'web-1', {
    refused: 'Failed to create new replica set "web-1": no',
  });
  const status = deploymentStatus(deployment(), [], undefined, view(0, { noted: refused, isRolling: false }));
  assert.deepEqual(words(status), [
    'Progressing False ReplicaSetCreateError: Failed to create new replica set "web-1": no',
    FEW,
  ]);
  const failure = {
    type: 'ReplicaFailure',
    status: 'True' as const,
    reason: 'FailedCreate',
    message: 'quota',
    lastTransitionTime: formatTime(START),
  };
  const failing = set('web-1', 2, 0, { replicas: 0, conditions: [failure] });
  const told = deploymentStatus(deployment(), [failing], failing, view(1));
  assert.deepEqual(
    told.conditions?.find(({ type }) => type === 'ReplicaFailure'),
    { ...failure, lastUpdateTime: formatTime(START) },
  );
  const well = set('web-1', 2, 2);
  assert.deepEqual(
    words(deploymentStatus(deployment(told), [well], well, view(2))).filter((word) =>
      word.startsWith('Replica'),
    ),
    [],
  );
});
