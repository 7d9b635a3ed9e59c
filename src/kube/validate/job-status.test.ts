import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { validateJobStatus } from './job-status.ts';

const START = '2026-01-01T00:00:00Z';
const END = '2026-01-01T01:00:00Z';
const on = (...types: string[]): object[] => types.map((type) => ({ type, status: 'True' }));
const complete = { startTime: START, completionTime: END, conditions: on('SuccessCriteriaMet', 'Complete') };
const failed = { startTime: START, conditions: on('FailureTarget', 'Failed') };
const conditions = (why: string): string => `status.conditions: Invalid value: ${why}`;

function findings(status: object, old: object, spec: object): string[] {
  return validateJobStatus({ spec, status }, { spec, status: old }).map(
    ({ field, message }) => `${field}: ${message}`,
  );
}

interface Row {
  readonly name: string;
  readonly status: object;
  readonly old?: object;
  readonly spec?: object;
  readonly told: readonly string[];
}

const rows: readonly Row[] = [
  { name: 'a Job that ends well', status: complete, told: [] },
  { name: 'a Job that fails', status: failed, told: [] },
  {
    name: 'what is old',
    status: { conditions: on('Complete') },
    old: { conditions: on('Complete') },
    told: [],
  },
  {
    name: 'two ends',
    status: { ...complete, conditions: on('Complete', 'Failed', 'SuccessCriteriaMet', 'FailureTarget') },
    told: [
      conditions('cannot set Complete=True and Failed=true conditions'),
      conditions('cannot set Complete=True and FailureTarget=true conditions'),
      conditions('cannot set SuccessCriteriaMet=True and Failed=true conditions'),
      conditions('cannot set SuccessCriteriaMet=True and FailureTarget=true conditions'),
    ],
  },
  {
    name: 'an end without its times and without a reason',
    status: { conditions: on('Complete') },
    told: [
      'status.completionTime: Required value: completionTime is required for Complete jobs',
      conditions('cannot set Complete=True condition without the SuccessCriteriaMet=true condition'),
      'status.startTime: Required value: startTime is required for finished job',
    ],
  },
  {
    name: 'a failure without a reason',
    status: { startTime: START, conditions: on('Failed') },
    told: [conditions('cannot set Failed=True condition without the FailureTarget=true condition')],
  },
  {
    name: 'a time of an end that was not',
    status: { startTime: START, completionTime: END },
    told: [
      `status.completionTime: Invalid value: "${END}": cannot set completionTime when there is no Complete=True condition`,
    ],
  },
  {
    name: 'an end before the start',
    status: { ...complete, startTime: END, completionTime: START },
    told: [`status.completionTime: Invalid value: "${START}": completionTime cannot be set before startTime`],
  },
  {
    name: 'an end with Pods that run, go or were not counted',
    status: {
      ...complete,
      active: 1,
      terminating: 2,
      uncountedTerminatedPods: { failed: ['a'] },
    },
    told: [
      'status.active: Invalid value: 1: active>0 is invalid for finished job',
      'status.uncountedTerminatedPods: Invalid value: {"Succeeded":null,"Failed":["a"]}: uncountedTerminatedPods needs to be empty for finished job',
      'status.terminating: Invalid value: 2: terminating>0 is invalid for finished job',
    ],
  },
  {
    name: 'Pods that are counted twice or not named',
    status: { uncountedTerminatedPods: { succeeded: ['a', 'a'], failed: ['a', ''] } },
    told: [
      'status.uncountedTerminatedPods.succeeded[1]: Duplicate value: "a"',
      'status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"',
      'status.uncountedTerminatedPods.failed[1]: Invalid value: "": must not be empty',
    ],
  },
  {
    name: 'more ready Pods than there are',
    status: { active: 1, ready: 2 },
    told: ['status.ready: Invalid value: 2: cannot set more ready pods than active'],
  },
  {
    name: 'indexes of a Job that has none',
    status: { completedIndexes: '0', failedIndexes: '1' },
    spec: { completions: 3 },
    told: [
      'status.completedIndexes: Invalid value: "0": cannot set non-empty completedIndexes when non-indexed completion mode',
      'status.failedIndexes: Invalid value: "1": cannot set non-null failedIndexes when backoffLimitPerIndex is null',
    ],
  },
  {
    name: 'indexes that are too large, or both done and failed',
    status: { completedIndexes: '0-1,9', failedIndexes: '1' },
    spec: { completions: 3, completionMode: 'Indexed', backoffLimitPerIndex: 1 },
    told: [
      'status.completedIndexes: Invalid value: "0-1,9": error parsing completedIndexes: too large index: "9"',
      'status.failedIndexes: Invalid value: "1": failedIndexes and completedIndexes overlap at index: 1',
    ],
  },
  {
    name: 'an end that is taken back',
    status: { startTime: START },
    old: complete,
    told: [
      conditions('cannot disable the terminal Complete=True condition'),
      conditions('cannot disable the SuccessCriteriaMet=True condition'),
    ],
  },
  {
    name: 'counts that go down',
    status: { failed: 1, succeeded: 1 },
    old: { failed: 2, succeeded: 2 },
    told: [
      'status.failed: Invalid value: 1: cannot decrease the failed counter',
      'status.succeeded: Invalid value: 1: cannot decrease the succeeded counter',
    ],
  },
  {
    name: 'successes that go down because there are fewer indexes',
    status: { succeeded: 1 },
    old: { succeeded: 2 },
    spec: { completions: 1, parallelism: 1, completionMode: 'Indexed' },
    told: [],
  },
  {
    name: 'another time of the end',
    status: { ...complete, completionTime: '2026-01-01T02:00:00Z' },
    old: complete,
    told: ['status.completionTime: Invalid value: "2026-01-01T02:00:00Z": completionTime cannot be mutated'],
  },
  {
    name: 'a start that is taken back',
    status: {},
    old: { startTime: START },
    told: ['status.startTime: Required value: startTime cannot be removed for unsuspended job'],
  },
  {
    name: 'a start that is taken back while suspended',
    status: {},
    old: { startTime: START },
    spec: { suspend: true },
    told: [],
  },
  {
    name: 'success by rules that nobody met',
    status: { ...complete, conditions: on('Complete') },
    old: { ...complete, conditions: on('Complete') },
    spec: { successPolicy: { rules: [] } },
    told: [conditions('cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True')],
  },
];

describe("of a Job's status, told as Kubernetes tells it:", () => {
  for (const { name, status, old = {}, spec = {}, told } of rows) {
    test(name, () => {
      assert.deepEqual(findings(status, old, spec), told);
    });
  }
});
