import { test } from 'node:test';
import assert from 'node:assert/strict';
import { ManualClock } from '../base/manual-clock.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import type { AdmissionRequest, TracedOutcome } from './admission-review.ts';
import { parseImagePolicyConfig } from './image-policy-config.ts';
import { ImagePolicyWebhook, type WebhookAnswer } from './image-policy-webhook.ts';
import { inPluginOrder, PLUGIN_ORDER } from './plugin-order.ts';

const NEVER = new AbortController().signal;

test('2.14 the configuration has defaults, ranges and a way to turn things off', () => {
  const config = (imagePolicy: object): unknown => parseImagePolicyConfig({ imagePolicy });
  assert.deepEqual(config({ kubeConfigFile: '/k' }), {
    kubeConfigFile: '/k',
    retryBackoff: 500,
    allowTtl: 300_000,
    denyTtl: 30_000,
    defaultAllow: false,
  });
  assert.deepEqual(config({ allowTTL: -1, denyTTL: 1, retryBackoff: -1, defaultAllow: true }), {
    kubeConfigFile: '',
    retryBackoff: 0,
    allowTtl: 0,
    denyTtl: 1000,
    defaultAllow: true,
  });
  const table: [object, string][] = [
    [{ allowTTL: 1801 }, 'valid value is between 1s and 30m0s, got 30m1s'],
    [{ denyTTL: -2 }, 'valid value is between 1s and 30m0s, got -2s'],
    [{ retryBackoff: 300_001 }, 'valid value is between 1ns and 5m0s, got 5m0.001s'],
    [{ allowTTL: 'x' }, 'Cannot read the image policy config: allowTTL is not an integer'],
    [{ defaultAllow: 1 }, 'Cannot read the image policy config: defaultAllow is not a boolean'],
  ];
  for (const [given, message] of table) assert.throws(() => config(given), { message });
  assert.throws(() => parseImagePolicyConfig(undefined), {
    message: 'no config specified',
    code: 'NO_CONFIG',
  });
});

interface Asked {
  readonly webhook: ImagePolicyWebhook;
  readonly reviews: KubeObject[];
  readonly clock: ManualClock;
  answer: () => Promise<WebhookAnswer>;
}

function webhook(config: object = {}): Asked {
  const clock = new ManualClock(1000);
  const asked: Asked = {
    clock,
    reviews: [],
    answer: () => Promise.resolve(says({ allowed: true })),
    webhook: new ImagePolicyWebhook({
      config: parseImagePolicyConfig({ imagePolicy: config }),
      post: (review) => {
        asked.reviews.push(review);
        return asked.answer();
      },
      clock,
      random: () => 0.5,
    }),
  };
  return asked;
}

function says(status: object, code = 200): WebhookAnswer {
  return { status: code, body: { kind: 'ImageReview', status } };
}

const POD: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'p',
    annotations: { 'team.image-policy.k8s.io/ticket': '7', 'image-policy.k8s.io/x': 'no', other: 'no' },
  },
  spec: {
    initContainers: [{ name: 'i', image: 'i' }],
    containers: [{ name: 'c', image: 'Docker.IO/c' }],
    ephemeralContainers: [{ name: 'e', image: 'e:1' }],
    volumes: [{ name: 'v', image: { reference: 'v:1' } }],
  },
};

function request(object: KubeObject = POD, extra: Partial<AdmissionRequest> = {}): AdmissionRequest {
  return { operation: 'CREATE', resource: 'pods', namespace: 'demo', object, ...extra };
}

function refusal({ result }: TracedOutcome): string {
  return result.allowed ? assert.fail('allowed') : result.message;
}

test('2.16 the question carries images as written, its own annotations and the namespace', async () => {
  const asked = webhook();
  await asked.webhook.validate(request(), NEVER);
  await asked.webhook.validate(
    request(POD, { subresource: 'ephemeralcontainers', operation: 'UPDATE' }),
    NEVER,
  );
  const common = { annotations: { 'team.image-policy.k8s.io/ticket': '7' }, namespace: 'demo' };
  assert.deepEqual(asked.reviews, [
    {
      apiVersion: 'imagepolicy.k8s.io/v1alpha1',
      kind: 'ImageReview',
      metadata: {},
      spec: { containers: [{ image: 'Docker.IO/c' }, { image: 'i' }], ...common },
    },
    {
      apiVersion: 'imagepolicy.k8s.io/v1alpha1',
      kind: 'ImageReview',
      metadata: {},
      spec: { containers: [{ image: 'e:1' }], ...common },
    },
  ]);
  for (const other of [{ resource: 'secrets' }, { subresource: 'status' }, { operation: 'DELETE' }] as const)
    assert.equal((await asked.webhook.validate(request(POD, other), NEVER)).result.allowed, true);
  assert.equal(asked.reviews.length, 2);
});

test('2.17 answers are remembered by question, permissions longer than refusals', async () => {
  const asked = webhook({ allowTTL: 10, denyTTL: 2 });
  for (let i = 0; i < 3; i++) await asked.webhook.validate(request(), NEVER);
  assert.equal(asked.reviews.length, 1);
  await asked.webhook.validate(request(POD, { namespace: 'other' }), NEVER);
  assert.equal(asked.reviews.length, 2);
  await asked.clock.advance(9_999);
  await asked.webhook.validate(request(), NEVER);
  assert.equal(asked.reviews.length, 2);
  asked.answer = () => Promise.resolve(says({ allowed: false }));
  await asked.clock.advance(1);
  for (let i = 0; i < 2; i++)
    assert.equal((await asked.webhook.validate(request(), NEVER)).result.allowed, false);
  assert.equal(asked.reviews.length, 3);
  await asked.clock.advance(2000);
  await asked.webhook.validate(request(), NEVER);
  assert.equal(asked.reviews.length, 4);
});

test('2.17 at most 1024 answers are remembered', async () => {
  const asked = webhook();
  for (let i = 0; i <= 1024; i++) await asked.webhook.validate(request(POD, { namespace: `n${i}` }), NEVER);
  await asked.webhook.validate(request(POD, { namespace: 'n1024' }), NEVER);
  assert.equal(asked.reviews.length, 1025);
  await asked.webhook.validate(request(POD, { namespace: 'n0' }), NEVER);
  assert.equal(asked.reviews.length, 1026);
});

test('2.18 a refusal says the webhook’s reason, or that there was none', async () => {
  const asked = webhook({ denyTTL: -1 });
  asked.answer = () => Promise.resolve(says({ allowed: false, reason: 'no signature' }));
  assert.equal(
    refusal(await asked.webhook.validate(request(), NEVER)),
    'pods "p" is forbidden: image policy webhook backend denied one or more images: no signature',
  );
  asked.answer = () => Promise.resolve(says({}));
  assert.equal(
    refusal(await asked.webhook.validate(request(), NEVER)),
    'pods "p" is forbidden: one or more images rejected by webhook backend',
  );
});

test('2.19 without an answer Pods are refused, or pass with a mark', async () => {
  const table: [answer: () => Promise<WebhookAnswer>, why: string][] = [
    [() => Promise.reject(new Error('connection refused')), 'connection refused'],
    [() => Promise.resolve({ status: 404, body: {} }), 'Error contacting webhook: 404'],
    [() => Promise.resolve({ status: 200, body: 'x' }), 'the answer of the webhook is no ImageReview'],
  ];
  for (const [answer, why] of table) {
    const closed = webhook();
    closed.answer = answer;
    assert.equal(refusal(await closed.webhook.validate(request(), NEVER)), `pods "p" is forbidden: ${why}`);
    const open = webhook({ defaultAllow: true });
    open.answer = answer;
    const { result } = await open.webhook.validate(request(), NEVER);
    assert.ok(result.allowed);
    assert.deepEqual(result.auditAnnotations, {
      'imagepolicywebhook.image-policy.k8s.io/failed-open': 'true',
    });
    assert.equal(result.object.metadata.annotations?.['alpha.image-policy.k8s.io/failed-open'], 'true');
  }
});

test('2.15 an overloaded webhook is asked five times, with growing pauses', async () => {
  const asked = webhook({ retryBackoff: 100 });
  const times: number[] = [];
  asked.answer = () => {
    times.push(asked.clock.now() - 1000);
    return Promise.resolve({ status: 500, body: {} });
  };
  const outcome = asked.webhook.validate(request(), NEVER);
  await asked.clock.advance(0);
  await asked.clock.advance(1000);
  assert.equal(refusal(await outcome), 'pods "p" is forbidden: Error contacting webhook: 500');
  // Pauses of 110, 165, 247.5 and 371.25 ms: each 1.5 times the last, half of the jitter added.
  assert.deepEqual(times, [0, 110, 275, 522.5, 893.75]);
  const once = webhook({ retryBackoff: -1 });
  once.answer = () => Promise.resolve({ status: 500, body: {} });
  await once.webhook.validate(request(), NEVER);
  assert.equal(once.reviews.length, 1);
});

test('2.20 audit annotations of the webhook get its prefix', async () => {
  const asked = webhook();
  asked.answer = () => Promise.resolve(says({ allowed: false, auditAnnotations: { who: 'ada', n: 1 } }));
  const { result } = await asked.webhook.validate(request(), NEVER);
  assert.deepEqual(result.auditAnnotations, { 'imagepolicywebhook.image-policy.k8s.io/who': 'ada' });
});

test('2.21 plug-ins run in the order of Kubernetes', () => {
  assert.deepEqual(
    inPluginOrder(['Other', 'PodSecurity', 'ImagePolicyWebhook', 'AlwaysPullImages', 'ServiceAccount']),
    ['ServiceAccount', 'AlwaysPullImages', 'ImagePolicyWebhook', 'PodSecurity', 'Other'],
  );
  assert.ok(PLUGIN_ORDER.indexOf('NodeRestriction') < PLUGIN_ORDER.indexOf('TaintNodesByCondition'));
});
