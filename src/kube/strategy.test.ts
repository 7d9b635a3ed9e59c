import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createObject } from './fixtures/create-object.ts';
import type { KubeObject } from './object.ts';
import { findKind, type ResourceInfo } from './resources.ts';
import { finishUpdate, prepareForUpdate, qosClassOf } from './strategy.ts';

function resourceOf({ apiVersion, kind }: KubeObject): ResourceInfo {
  const found = findKind(apiVersion, kind);
  assert.ok(found !== undefined);
  return found;
}

const deployment = createObject({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'd', labels: { a: 'b' } },
  spec: {
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'x:1' }] } },
  },
}) as KubeObject & { spec: { replicas: number }; status: object };

test('a changed spec counts the generation up, a changed label does not', () => {
  const scaled = structuredClone(deployment);
  scaled.spec.replicas = 3;
  prepareForUpdate(scaled, deployment, resourceOf(deployment));
  assert.equal(scaled.metadata.generation, 2);
  const labelled = structuredClone(deployment);
  labelled.metadata.labels = { x: 'y' };
  prepareForUpdate(labelled, deployment, resourceOf(deployment));
  assert.equal(labelled.metadata.generation, 1);
  const annotated = structuredClone(deployment);
  annotated.metadata.annotations = { x: 'y' };
  prepareForUpdate(annotated, deployment, resourceOf(deployment));
  assert.equal(annotated.metadata.generation, 2, 'a Deployment hands its annotations on');
});

test('the main path keeps status, the status path keeps everything else', () => {
  const both = structuredClone(deployment);
  both.spec.replicas = 3;
  both.status = { replicas: 3 };
  const main = structuredClone(both);
  prepareForUpdate(main, deployment, resourceOf(deployment));
  assert.deepEqual([main.spec.replicas, main.status], [3, deployment.status]);
  prepareForUpdate(both, deployment, resourceOf(deployment), 'status');
  assert.deepEqual([both.spec.replicas, both.status], [1, { replicas: 3 }]);
});

test('a body without uid and time keeps them', () => {
  const body = structuredClone(deployment);
  delete body.metadata.uid;
  prepareForUpdate(
    body,
    { ...deployment, metadata: { ...deployment.metadata, creationTimestamp: 't' } },
    resourceOf(deployment),
  );
  assert.deepEqual([body.metadata.uid, body.metadata.creationTimestamp], [deployment.metadata.uid, 't']);
});

test('a DaemonSet counts the generations of its template', () => {
  const set = createObject({
    ...structuredClone(deployment),
    kind: 'DaemonSet',
    spec: {
      selector: { matchLabels: { a: 'b' } },
      template: (deployment.spec as never as { template: object }).template,
    },
  });
  const changed = structuredClone(set) as KubeObject & {
    spec: { template: { spec: { hostNetwork?: boolean } } };
  };
  changed.spec.template.spec.hostNetwork = true;
  prepareForUpdate(changed, set, resourceOf(set));
  finishUpdate(changed, set, resourceOf(set));
  assert.equal(changed.metadata.annotations?.['deprecated.daemonset.template.generation'], '2');
});

const container = (requests?: object, limits?: object): object => ({ resources: { requests, limits } });
for (const [name, containers, expected] of [
  ['nothing asked', [container()], 'BestEffort'],
  ['requests only', [container({ cpu: '1' })], 'Burstable'],
  [
    'limits equal requests',
    [container({ cpu: '1', memory: '1Gi' }, { cpu: '1000m', memory: '1024Mi' })],
    'Guaranteed',
  ],
  ['limits of one container', [container(undefined, { cpu: '1', memory: '1Gi' }), container()], 'Burstable'],
  ['limits alone', [container(undefined, { cpu: '1', memory: '1Gi' })], 'Guaranteed'],
] as const) {
  test(`${name} is ${expected}`, () => {
    assert.equal(qosClassOf({ containers }), expected);
  });
}

test('being bound to a node is not a new generation of a Pod', () => {
  const pod = createObject({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c', image: 'x:1' }] },
  }) as KubeObject & { spec: { nodeName?: string } };
  assert.equal(pod.metadata.generation, 1);
  const bound = structuredClone(pod);
  bound.spec.nodeName = 'a';
  prepareForUpdate(bound, pod, resourceOf(pod), 'binding');
  assert.equal(bound.metadata.generation, 1);
});
