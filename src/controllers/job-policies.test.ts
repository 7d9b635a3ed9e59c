import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../kube/pod.ts';
import {
  failuresAfter,
  failuresByIndex,
  INDEX_FAILURES_ANNOTATION,
  matchFailure,
  matchSuccess,
  type FailureRule,
} from './job-policies.ts';

const ended = (code: number, index = 0, failures = 0): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: `p${index}-${failures}`,
    namespace: 'ns',
    annotations: {
      'batch.kubernetes.io/job-completion-index': String(index),
      [INDEX_FAILURES_ANNOTATION]: String(failures),
    },
  },
  spec: { containers: [] },
  status: {
    phase: code === 0 ? 'Succeeded' : 'Failed',
    conditions: [{ type: 'DisruptionTarget', status: 'True' }],
    containerStatuses: [
      {
        name: 'main',
        ready: false,
        restartCount: 0,
        image: 'x',
        imageID: 'x',
        state: { terminated: { exitCode: code } },
      },
    ],
  },
});

test('a failure policy is decided by its first rule that fits', () => {
  const cases: readonly (readonly [string, FailureRule[], string | undefined])[] = [
    ['no rule', [], undefined],
    ['another code', [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [1, 2] } }], undefined],
    [
      'the code',
      [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [42] } }],
      'Container main for pod ns/p0-0 failed with exit code 42 matching FailJob rule at index 0',
    ],
    [
      'the code of another container',
      [{ action: 'FailJob', onExitCodes: { containerName: 'side', operator: 'In', values: [42] } }],
      undefined,
    ],
    [
      'a code that is excepted',
      [{ action: 'FailJob', onExitCodes: { operator: 'NotIn', values: [42] } }],
      undefined,
    ],
    [
      'the second rule',
      [
        { action: 'Ignore', onExitCodes: { operator: 'NotIn', values: [42] } },
        { action: 'FailJob', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
      ],
      'Pod ns/p0-0 has condition DisruptionTarget matching FailJob rule at index 1',
    ],
  ];
  for (const [name, rules, message] of cases) {
    assert.equal(matchFailure(rules, ended(42))?.message, message, name);
  }
  const notIn: FailureRule = { action: 'FailJob', onExitCodes: { operator: 'NotIn', values: [1] } };
  assert.equal(matchFailure([notIn], ended(0)), undefined, 'a success is no failure with another code');
});

test('a success policy holds with the indexes or the number that it names', () => {
  const done = new Set([0, 2, 3]);
  assert.equal(matchSuccess([], done), undefined);
  assert.equal(matchSuccess([{ succeededCount: 4 }, { succeededCount: 3 }], done), 1);
  assert.equal(matchSuccess([{ succeededIndexes: '0,2' }], done), 0);
  assert.equal(matchSuccess([{ succeededIndexes: '0-2' }], done), undefined);
  assert.equal(matchSuccess([{ succeededIndexes: '0-2', succeededCount: 2 }], done), 0);
  assert.equal(matchSuccess([{ succeededIndexes: '1-2', succeededCount: 2 }], done), undefined);
});

test('an index has failed when its Pods have, once more often than the limit', () => {
  const rules: FailureRule[] = [
    { action: 'FailIndex', onExitCodes: { operator: 'In', values: [9] } },
    { action: 'Ignore', onExitCodes: { operator: 'In', values: [5] } },
  ];
  const pods = [ended(1, 0), ended(1, 1), ended(1, 1, 1), ended(9, 2), ended(5, 3, 1), ended(0, 4)];
  const hasFailed = (pod: Pod): boolean => pod.status?.phase === 'Failed';
  const { failed, last } = failuresByIndex(1, rules, new Set([7]), new Set([4]), pods, hasFailed);
  assert.deepEqual(
    [...failed].sort((a, b) => a - b),
    [1, 2, 7],
  );
  assert.deepEqual(
    [...last.keys()].sort((a, b) => a - b),
    [0, 3],
  );
  assert.equal(failuresAfter(last.get(0), rules), 1);
  assert.equal(failuresAfter(last.get(3), rules), 1, 'an ignored failure counts nothing');
  assert.equal(failuresAfter(undefined, rules), 0);
});
