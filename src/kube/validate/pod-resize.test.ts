import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { JsonObject } from '../json/json-object.ts';
import { validatePodResize } from './pod-resize.ts';

const podOf = (resources: JsonObject, metadata: JsonObject = {}): JsonObject => ({
  metadata: { name: 'p', namespace: 'demo', ...metadata },
  spec: {
    restartPolicy: 'Always',
    dnsPolicy: 'ClusterFirst',
    terminationGracePeriodSeconds: 30,
    containers: [
      {
        name: 'a',
        image: 'x:1',
        imagePullPolicy: 'IfNotPresent',
        terminationMessagePolicy: 'File',
        resources,
      },
    ],
  },
});
const old = podOf({ requests: { cpu: '1' } });
const faults = (resources: JsonObject): string[] =>
  validatePodResize(podOf(resources), old).map(
    ({ field, message }) => `${field}: ${message.split('\n')[0] ?? ''}`,
  );

test('processor and memory may change', () => {
  assert.deepEqual(faults({ requests: { cpu: '2', memory: '1Gi' } }), []);
});

test('other resources may not', () => {
  const scratch = { requests: { cpu: '1', 'ephemeral-storage': '1Gi' } };
  assert.deepEqual(faults(scratch), ['spec: Forbidden: only cpu and memory resources are mutable']);
});

test('what was asked for stays asked for', () => {
  assert.deepEqual(faults({}), [
    'spec: Invalid value: "BestEffort": Pod QOS Class may not change as a result of resizing',
    'spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed',
  ]);
});

test('static Pods keep what their file says', () => {
  const mirror = podOf({}, { annotations: { 'kubernetes.io/config.mirror': 'x' } });
  assert.deepEqual(
    validatePodResize(mirror, mirror).map(({ message }) => message),
    ['Forbidden: static pods cannot be resized'],
  );
});
