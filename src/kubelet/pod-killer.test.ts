import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../kube/pod.ts';
import { graceOf } from './pod-killer.ts';

const rows: [name: string, deletion: number | undefined, specification: number | undefined, grace: number][] =
  [
    ['the specification’s', undefined, 5, 5],
    ['the usual one when nothing is said', undefined, undefined, 30],
    ['the deletion’s before the specification’s', 3, 5, 3],
    ['the specification’s when the deletion gives none', 0, 5, 5],
    ['one second when neither gives any', 0, 0, 1],
  ];
for (const [name, deletion, specification, grace] of rows) {
  test(`the time that a Pod has to end is ${name}`, () => {
    const pod: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'p',
        ...(deletion === undefined ? {} : { deletionGracePeriodSeconds: deletion }),
      },
      spec: {
        containers: [],
        ...(specification === undefined ? {} : { terminationGracePeriodSeconds: specification }),
      },
    };
    assert.equal(graceOf(pod), grace);
  });
}
