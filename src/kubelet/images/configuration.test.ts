import { test } from 'node:test';
import assert from 'node:assert/strict';
import { ConfigurationError } from './configuration-fields.ts';
import { evictionFieldsOf, imageSettingsOf, parseKubeletConfiguration } from './configuration.ts';
import { parseEvictionThresholds } from './eviction-thresholds.ts';
import { DEFAULT_IMAGE_SETTINGS } from './settings.ts';

const HEAD = 'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n';

function settings(yaml: string): ReturnType<typeof imageSettingsOf> {
  return imageSettingsOf(parseKubeletConfiguration(HEAD + yaml));
}

function refusal(yaml: string): string {
  try {
    settings(yaml);
  } catch (error) {
    assert.ok(error instanceof ConfigurationError, String(error));
    return error.message;
  }
  return assert.fail('accepted');
}

test('an empty configuration has the defaults of Kubernetes', () => {
  assert.deepEqual(settings(''), DEFAULT_IMAGE_SETTINGS);
  assert.deepEqual(
    settings('registryBurst: 0\nimageMinimumGCAge: 0s\nmaxParallelImagePulls: null\n'),
    DEFAULT_IMAGE_SETTINGS,
  );
});

test('every image field is read', () => {
  const read = settings(`
registryPullQPS: 0
registryBurst: 3
serializeImagePulls: false
maxParallelImagePulls: 4
imagePullCredentialsVerificationPolicy: NeverVerifyAllowlistedImages
preloadedImagesVerificationAllowlist: [registry.example/*]
imageMinimumGCAge: 1m
imageMaximumGCAge: 48h
imageGCHighThresholdPercent: 70
imageGCLowThresholdPercent: 60
nodeStatusMaxImages: -1
runtimeRequestTimeout: 30s
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
maxPods: 20
featureGates: { KubeletEnsureSecretPulledImages: false }
evictionHard: { imagefs.available: 5% }
`);
  assert.deepEqual(read, {
    registryPullQps: 0,
    registryBurst: 3,
    serializeImagePulls: false,
    maxParallelImagePulls: 4,
    verifyPulledImages: false,
    verificationPolicy: 'NeverVerifyAllowlistedImages',
    verificationAllowlist: ['registry.example/*'],
    imageMinimumGcAge: 60_000,
    imageMaximumGcAge: 172_800_000,
    imageGcHighThresholdPercent: 70,
    imageGcLowThresholdPercent: 60,
    nodeStatusMaxImages: -1,
    runtimeRequestTimeout: 30_000,
    imageServiceEndpoint: 'unix:///run/containerd/containerd.sock',
    maxPods: 20,
  });
});

test('pulls are parallel by themselves only when two or more were asked for', () => {
  assert.equal(settings('maxParallelImagePulls: 1').serializeImagePulls, true);
  assert.equal(settings('maxParallelImagePulls: 2').serializeImagePulls, false);
  assert.equal(settings('serializeImagePulls: true\nmaxParallelImagePulls: 1').serializeImagePulls, true);
});

const REFUSALS: Record<string, string> = {
  'registryPullQPS: -1': 'registryPullQPS (--registry-qps) -1 must not be a negative number',
  'registryBurst: -2': 'registryBurst (--registry-burst) -2 must not be a negative number',
  'maxParallelImagePulls: 0': 'maxParallelImagePulls 0 must be a positive number',
  'serializeImagePulls: true\nmaxParallelImagePulls: 2':
    'maxParallelImagePulls cannot be larger than 1 unless SerializeImagePulls (--serialize-image-pulls) is set to false',
  'imagePullCredentialsVerificationPolicy: Sometimes':
    'option "Sometimes" specified for imagePullCredentialsVerificationPolicy. Valid options are "NeverVerify", "NeverVerifyPreloadedImages", "NeverVerifyAllowlistedImages" or "AlwaysVerify"',
  'preloadedImagesVerificationAllowlist: [a.b/c]':
    'can\'t set `preloadedImagesVerificationAllowlist` if `imagePullCredentialsVertificationPolicy` is not "NeverVerifyAllowlistedImages"',
  'imagePullCredentialsVerificationPolicy: NeverVerifyAllowlistedImages\npreloadedImagesVerificationAllowlist: ["a*"]':
    "invalid image pattern in `preloadedImagesVerificationAllowlist`: not a valid wildcard pattern, only patterns ending with '/*' are allowed: a*",
  'imageMinimumGCAge: -1m': 'imageMinimumGCAge -1m0s must not be negative',
  'imageMaximumGCAge: -1s': 'imageMaximumGCAge -1s must not be negative',
  'imageMaximumGCAge: 2m': 'imageMaximumGCAge 2m0s must be greater than imageMinimumGCAge 2m0s',
  'imageGCHighThresholdPercent: 101':
    'imageGCHighThresholdPercent (--image-gc-high-threshold) 101 must be between 0 and 100, inclusive',
  'imageGCLowThresholdPercent: -1':
    'imageGCLowThresholdPercent (--image-gc-low-threshold) -1 must be between 0 and 100, inclusive',
  'imageGCLowThresholdPercent: 85':
    'imageGCLowThresholdPercent (--image-gc-low-threshold) 85 must be less than imageGCHighThresholdPercent (--image-gc-high-threshold) 85',
  'nodeStatusMaxImages: -2': 'nodeStatusMaxImages (--node-status-max-images) -2 must be -1 or greater',
};

for (const [yaml, text] of Object.entries(REFUSALS)) {
  test(`refuses ${yaml.replaceAll('\n', ', ')}`, () =>
    assert.equal(refusal(yaml), `invalid configuration: ${text}`));
}

test('several refusals are told together', () => {
  assert.equal(
    refusal('registryPullQPS: -1\nnodeStatusMaxImages: -2'),
    '[invalid configuration: nodeStatusMaxImages (--node-status-max-images) -2 must be -1 or greater, ' +
      'invalid configuration: registryPullQPS (--registry-qps) -1 must not be a negative number]',
  );
});

test('what is no KubeletConfiguration is refused with a reason', () => {
  for (const [yaml, expected] of [
    ['[1]', /it is no object/],
    ['a: [', /Cannot read the kubelet configuration/],
    ['kind: Pod\napiVersion: v1', /it is "v1, Kind=Pod"/],
  ] as const) {
    assert.throws(() => parseKubeletConfiguration(yaml), expected);
  }
  assert.match(refusal('registryBurst: many'), /registryBurst is not an integer/);
  assert.match(refusal('registryBurst: 1.5'), /registryBurst is not an integer/);
  assert.match(refusal('imageMaximumGCAge: 3 days'), /imageMaximumGCAge: time: unknown unit/);
  assert.match(refusal('serializeImagePulls: "no"'), /serializeImagePulls is not a boolean/);
});

test('the eviction fields are handed on as they are written', () => {
  const fields = evictionFieldsOf(
    parseKubeletConfiguration(`${HEAD}
evictionHard: { imagefs.available: 5%, memory.available: 1Gi }
evictionSoft: { imagefs.available: 10% }
evictionSoftGracePeriod: { imagefs.available: 1m }
mergeDefaultEvictionSettings: true
`),
  );
  assert.deepEqual(fields, {
    evictionHard: { 'imagefs.available': '5%', 'memory.available': '1Gi' },
    evictionSoft: { 'imagefs.available': '10%' },
    evictionSoftGracePeriod: { 'imagefs.available': '1m' },
    evictionMinimumReclaim: undefined,
    mergeDefaultEvictionSettings: true,
  });
  assert.deepEqual(
    parseEvictionThresholds(fields).map(({ signal, gracePeriod }) => [signal, gracePeriod]),
    [
      ['memory.available', 0],
      ['nodefs.available', 0],
      ['nodefs.inodesFree', 0],
      ['imagefs.available', 0],
      ['imagefs.inodesFree', 0],
      ['imagefs.available', 60_000],
    ],
  );
  assert.throws(
    () => evictionFieldsOf(parseKubeletConfiguration(`${HEAD}evictionHard: { memory.available: 5 }`)),
    /evictionHard is not a map of strings/,
  );
});
