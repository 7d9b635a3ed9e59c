import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  evictionFieldsOf,
  evictionMaxPodGracePeriodOf,
  evictionTransitionPeriodOf,
  imageSettingsOf,
} from './configuration.ts';
import { parseEvictionThresholds } from './eviction-thresholds.ts';
import { withKubeletFlags } from './kubelet-flags.ts';

const flagged = (flags: Record<string, string>, document = {}): ReturnType<typeof withKubeletFlags> =>
  withKubeletFlags(document, new Map(Object.entries(flags)));

test('0 flags of the kubelet become fields of its configuration and win over them', () => {
  const { document } = flagged(
    {
      'image-gc-high-threshold': '70',
      'image-gc-low-threshold': '60',
      'minimum-image-ttl-duration': '1m30s',
      'serialize-image-pulls': 'false',
      'registry-qps': '0',
      'node-status-max-images': '-1',
      'runtime-request-timeout': '10s',
    },
    { imageGCHighThresholdPercent: 90, maxPods: 7 },
  );
  const settings = imageSettingsOf(document);
  assert.equal(settings.imageGcHighThresholdPercent, 70);
  assert.equal(settings.imageGcLowThresholdPercent, 60);
  assert.equal(settings.imageMinimumGcAge, 90_000);
  assert.equal(settings.serializeImagePulls, false);
  assert.equal(settings.registryPullQps, 0);
  assert.equal(settings.nodeStatusMaxImages, -1);
  assert.equal(settings.runtimeRequestTimeout, 10_000);
  assert.equal(settings.maxPods, 7);
});

test('11.22 11.23 11.24 eviction flags have the form signal<value, grace periods and reclaim the form signal=value', () => {
  const { document } = flagged({
    'eviction-hard': 'memory.available<200Mi,nodefs.available<5%',
    'eviction-soft': 'imagefs.available<30%',
    'eviction-soft-grace-period': 'imagefs.available=2m',
    'eviction-minimum-reclaim': 'imagefs.available=1Gi',
    'eviction-pressure-transition-period': '30s',
    'eviction-max-pod-grace-period': '60',
  });
  const thresholds = parseEvictionThresholds(evictionFieldsOf(document));
  assert.deepEqual(
    thresholds.map(({ signal, value, gracePeriod }) => [signal, value.text, gracePeriod]),
    [
      ['memory.available', '200Mi', 0],
      ['nodefs.available', '5%', 0],
      ['imagefs.available', '30%', 120_000],
    ],
  );
  assert.equal(thresholds[2]?.minimumReclaim?.text, '1Gi');
  assert.equal(evictionTransitionPeriodOf(document), 30_000);
  assert.equal(evictionMaxPodGracePeriodOf(document), 60);
  assert.equal(evictionMaxPodGracePeriodOf({}), 0);
});

test('17.1 the pull deadline is no field of the kubelet any more; it is time without progress', () => {
  const { document, progressTimeoutMs, remarks } = flagged({ 'image-pull-progress-deadline': '90s' });
  assert.deepEqual(document, {});
  assert.equal(progressTimeoutMs, 90_000);
  assert.deepEqual(remarks, [
    '--image-pull-progress-deadline is the runtime’s image_pull_progress_timeout today',
  ]);
});

test('each flag that is used is named as it is called today', () => {
  assert.deepEqual(flagged({ 'minimum-image-ttl-duration': '2m' }).remarks, [
    '--minimum-image-ttl-duration is imageMinimumGCAge in the file that --config names today',
  ]);
  assert.deepEqual(flagged({}).remarks, []);
});

for (const [name, value, reason] of [
  ['image-gc-high-threshold', 'many', 'strconv.ParseInt: parsing "many": invalid syntax'],
  ['serialize-image-pulls', 'maybe', 'strconv.ParseBool: parsing "maybe": invalid syntax'],
  ['eviction-hard', 'memory.available=1Mi', 'malformed pair, expect string<string'],
  ['eviction-minimum-reclaim', 'memory.available', 'malformed pair, expect string=string'],
] as const) {
  test(`--${name} ${value} is refused`, () => {
    assert.throws(() => flagged({ [name]: value }), {
      code: 'BAD_FIELD',
      message: `invalid argument "${value}" for "--${name}" flag: ${reason}`,
    });
  });
}

test('--runtime-request-timeout without a unit is refused', () => {
  assert.throws(() => flagged({ 'runtime-request-timeout': '10' }), {
    code: 'BAD_FIELD',
    message: /^invalid argument "10" for "--runtime-request-timeout" flag: .*missing unit/,
  });
});
