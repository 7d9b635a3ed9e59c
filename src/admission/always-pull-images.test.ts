import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { KubeObject } from '../kube/object.ts';
import type { Pod, PodSpec } from '../kube/pod.ts';
import type { AdmissionRequest, TracedOutcome } from './admission-review.ts';
import { mutateAlwaysPullImages, validateAlwaysPullImages } from './always-pull-images.ts';

function pod(spec: Partial<PodSpec>, name = 'p'): Pod {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { containers: [], ...spec } };
}

function request(object: KubeObject, extra: Partial<AdmissionRequest> = {}): AdmissionRequest {
  return { operation: 'CREATE', resource: 'pods', namespace: 'demo', object, ...extra };
}

function objectOf({ result }: TracedOutcome): Pod {
  assert.ok(result.allowed);
  return result.object as Pod;
}

const MIXED = pod({
  initContainers: [{ name: 'i', image: 'i:1', imagePullPolicy: 'IfNotPresent' }],
  containers: [{ name: 'c', image: 'c:1', imagePullPolicy: 'Never' }],
  ephemeralContainers: [{ name: 'e', image: 'e:1' }],
  volumes: [
    { name: 'v', image: { reference: 'v:1', pullPolicy: 'IfNotPresent' } },
    { name: 'd', emptyDir: {} },
  ],
});

test('2.9 only Pods themselves are touched, on creation and update', () => {
  for (const extra of [
    { resource: 'deployments' },
    { subresource: 'ephemeralcontainers' },
    { subresource: 'status' },
    { operation: 'DELETE' },
  ] as const) {
    for (const plugin of [mutateAlwaysPullImages, validateAlwaysPullImages])
      assert.equal(objectOf(plugin(request(MIXED, extra))), MIXED);
  }
  const old = pod({ containers: [{ name: 'c', image: 'other:1' }] });
  assert.notEqual(
    objectOf(mutateAlwaysPullImages(request(MIXED, { operation: 'UPDATE', oldObject: old }))),
    MIXED,
  );
});

test('2.10 every container and every image volume gets Always', () => {
  const { spec } = objectOf(mutateAlwaysPullImages(request(MIXED)));
  for (const container of [
    ...(spec.initContainers ?? []),
    ...spec.containers,
    ...(spec.ephemeralContainers ?? []),
  ])
    assert.equal(container.imagePullPolicy, 'Always');
  assert.deepEqual(spec.volumes, [
    { name: 'v', image: { reference: 'v:1', pullPolicy: 'Always' } },
    { name: 'd', emptyDir: {} },
  ]);
  assert.equal(MIXED.spec.containers[0]?.imagePullPolicy, 'Never');
  assert.equal(
    validateAlwaysPullImages(request(objectOf(mutateAlwaysPullImages(request(MIXED))))).result.allowed,
    true,
  );
});

test('2.11 every other policy is refused, all in one message', () => {
  const { result } = validateAlwaysPullImages(request(MIXED));
  const said = (field: string, value: string): string =>
    `pods "p" is forbidden: ${field}: Unsupported value: "${value}": supported values: "Always"`;
  assert.deepEqual(result, {
    allowed: false,
    reason: 'Forbidden',
    message: `[${[
      said('spec.initContainers[0].imagePullPolicy', 'IfNotPresent'),
      said('spec.containers[0].imagePullPolicy', 'Never'),
      said('spec.ephemeralContainers[0].imagePullPolicy', ''),
      said('spec.volumes[0].image.pullPolicy', 'IfNotPresent'),
    ].join(', ')}]`,
  });
  const one = validateAlwaysPullImages(
    request(pod({ containers: [{ name: 'c', image: 'x', imagePullPolicy: 'Never' }] })),
  ).result;
  assert.equal(one.allowed ? '' : one.message, said('spec.containers[0].imagePullPolicy', 'Never'));
});

test('2.12 an update without new container images changes nothing; image volumes are not compared', () => {
  const update = (object: Pod, oldObject: Pod): AdmissionRequest =>
    request(object, { operation: 'UPDATE', oldObject });
  const old = pod({
    containers: [
      { name: 'a', image: 'a:1' },
      { name: 'b', image: 'b:1' },
    ],
  });
  const swapped = pod({
    containers: [{ name: 'a', image: 'b:1', imagePullPolicy: 'Never' }],
    volumes: [{ name: 'v', image: { reference: 'new:1', pullPolicy: 'Never' } }],
  });
  assert.equal(objectOf(mutateAlwaysPullImages(update(swapped, old))), swapped);
  assert.equal(validateAlwaysPullImages(update(swapped, old)).result.allowed, true);
  const changed = pod({ containers: [{ name: 'a', image: 'c:1', imagePullPolicy: 'Never' }] });
  assert.equal(validateAlwaysPullImages(update(changed, old)).result.allowed, false);
});

test('2.13 an object that is no Pod is a bad request', () => {
  const other: KubeObject = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' } };
  for (const plugin of [mutateAlwaysPullImages, validateAlwaysPullImages]) {
    assert.deepEqual(plugin(request(other)).result, {
      allowed: false,
      reason: 'BadRequest',
      message: 'Resource was marked with kind Pod but was unable to be converted',
    });
  }
});
