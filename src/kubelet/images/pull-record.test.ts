import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  mergeRecord,
  NO_CREDENTIALS,
  recordTime,
  type PulledRecord,
  type RecordedCredentials,
  type RecordedSecret,
} from './pull-record.ts';
import {
  decodeIntent,
  decodeRecord,
  encodeIntent,
  encodeRecord,
  PullRecordError,
} from './pull-record-codec.ts';

const FUZZ = { numRuns: Number(process.env.FUZZ_RUNS ?? 1000) };
const NOW = Date.parse('2026-01-02T03:04:05.678Z');

function secret(name: string, credentialHash = 'h', namespace = 'ns', uid = `u-${name}`): RecordedSecret {
  return { uid, namespace, name, credentialHash };
}

function withSecrets(...secrets: RecordedSecret[]): RecordedCredentials {
  return { ...NO_CREDENTIALS, kubernetesSecrets: secrets };
}

const NODE: RecordedCredentials = { ...NO_CREDENTIALS, nodePodsAccessible: true };

function record(credentials: Record<string, RecordedCredentials>): PulledRecord {
  return {
    imageRef: 'sha256:1',
    lastUpdatedTime: '2025-01-01T00:00:00Z',
    credentialMapping: new Map(Object.entries(credentials)),
  };
}

test('3.25 an intent is one line of JSON with the image as in the Pod', () => {
  assert.equal(
    encodeIntent('busybox:1'),
    '{"kind":"ImagePullIntent","apiVersion":"kubelet.config.k8s.io/v1beta1","image":"busybox:1"}\n',
  );
});

test('3.26 a record has its fields in order, names sorted, empty ones left out, times in whole seconds', () => {
  const account = { uid: 'u', namespace: 'ns', name: 'sa' };
  const value: PulledRecord = {
    imageRef: 'sha256:1',
    lastUpdatedTime: recordTime(NOW),
    credentialMapping: new Map<string, RecordedCredentials>([
      ['r.example/b', { ...withSecrets(secret('s')), kubernetesServiceAccounts: [account] }],
      ['a', NODE],
      ['c', NO_CREDENTIALS],
    ]),
  };
  assert.equal(
    encodeRecord(value),
    '{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","lastUpdatedTime":"2026-01-02T03:04:05Z","imageRef":"sha256:1",' +
      '"credentialMapping":{"a":{"nodePodsAccessible":true},"c":{},"r.example/b":{"kubernetesSecrets":[{"uid":"u-s","namespace":"ns","name":"s","credentialHash":"h"}],' +
      '"kubernetesServiceAccounts":[{"uid":"u","namespace":"ns","name":"sa"}]}}}\n',
  );
  assert.equal(
    encodeRecord(record({})),
    '{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","lastUpdatedTime":"2025-01-01T00:00:00Z","imageRef":"sha256:1"}\n',
  );
});

test('3.27 the first record takes whatever the pull proved, even nothing', () => {
  assert.deepEqual(mergeRecord(undefined, 'sha256:1', 'a', undefined, NOW), {
    imageRef: 'sha256:1',
    lastUpdatedTime: '2026-01-02T03:04:05Z',
    credentialMapping: new Map(),
  });
  assert.deepEqual(
    mergeRecord(undefined, 'sha256:1', 'a', NODE, NOW)?.credentialMapping,
    new Map([['a', NODE]]),
  );
});

const MERGES: Record<
  string,
  [
    known: RecordedCredentials | undefined,
    added: RecordedCredentials | undefined,
    merged: RecordedCredentials | undefined,
  ]
> = {
  'nothing new changes nothing': [withSecrets(secret('s')), undefined, undefined],
  'an empty proof changes nothing': [withSecrets(secret('s')), NO_CREDENTIALS, undefined],
  'a new name is added': [undefined, NODE, NODE],
  'what is open to the node stays so': [NODE, withSecrets(secret('s')), undefined],
  'opening to the node drops the rest': [withSecrets(secret('s')), NODE, NODE],
  'the same secret with the same hash changes nothing': [
    withSecrets(secret('s')),
    withSecrets(secret('s')),
    undefined,
  ],
  'a new hash wins': [
    withSecrets(secret('s')),
    withSecrets(secret('s', 'new')),
    withSecrets(secret('s', 'new')),
  ],
  'secrets are sorted by namespace, name and uid': [
    withSecrets(secret('b', 'h', 'ns1'), secret('a', 'h', 'ns2')),
    withSecrets(secret('a', 'h', 'ns1', 'u2'), secret('a', 'h', 'ns1', 'u1')),
    withSecrets(
      secret('a', 'h', 'ns1', 'u1'),
      secret('a', 'h', 'ns1', 'u2'),
      secret('b', 'h', 'ns1'),
      secret('a', 'h', 'ns2'),
    ),
  ],
  'accounts are joined': [
    { ...NO_CREDENTIALS, kubernetesServiceAccounts: [{ uid: '2', namespace: 'n', name: 'b' }] },
    { ...NO_CREDENTIALS, kubernetesServiceAccounts: [{ uid: '1', namespace: 'n', name: 'a' }] },
    {
      ...NO_CREDENTIALS,
      kubernetesServiceAccounts: [
        { uid: '1', namespace: 'n', name: 'a' },
        { uid: '2', namespace: 'n', name: 'b' },
      ],
    },
  ],
};

for (const [name, [known, added, merged]] of Object.entries(MERGES)) {
  test(`3.27 ${name}`, () => {
    const before = record(known === undefined ? {} : { a: known });
    const after = mergeRecord(before, 'sha256:1', 'a', added, NOW);
    if (merged === undefined) assert.equal(after, undefined);
    else {
      assert.deepEqual(after?.credentialMapping.get('a'), merged);
      assert.equal(after?.lastUpdatedTime, '2026-01-02T03:04:05Z');
    }
  });
}

const BROKEN: Record<string, string> = {
  'text that is no JSON': '{',
  'an array': '[]',
  'another kind': encodeIntent('a'),
  'an unknown field':
    '{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","imageRef":"a","extra":1}',
  'a doubled field':
    '{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","imageRef":"a","imageRef":"b"}',
  'a field in another case':
    '{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","imageref":"a"}',
  'an unknown version': '{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v2","imageRef":"a"}',
  'a time that is none':
    '{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","lastUpdatedTime":"now"}',
  'a string for a list':
    '{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","credentialMapping":{"a":{"kubernetesSecrets":"x"}}}',
  'an unknown field deep inside':
    '{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","credentialMapping":{"a":{"kubernetesSecrets":[{"password":"x"}]}}}',
};

for (const [name, text] of Object.entries(BROKEN)) {
  test(`3.30 decoding is strict: ${name} is an error`, () => {
    assert.throws(
      () => decodeRecord(text),
      (error) => error instanceof PullRecordError && error.code === 'BAD_RECORD',
    );
  });
}

test('3.30 both versions are read', () => {
  const body = '"lastUpdatedTime":"2025-01-01T00:00:00Z","imageRef":"sha256:1"';
  for (const [version, current] of [
    ['v1alpha1', false],
    ['v1beta1', true],
  ] as const) {
    const text = `{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/${version}",${body}}`;
    assert.deepEqual(decodeRecord(text), { value: record({}), current });
    const intent = `{"kind":"ImagePullIntent","apiVersion":"kubelet.config.k8s.io/${version}","image":"x"}`;
    assert.deepEqual(decodeIntent(intent), { value: 'x', current });
  }
});

const words = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.constantFrom('__proto__', 'constructor', '<&>', '\u2028'),
);
const identities = fc.record({ uid: words, namespace: words, name: words }, { noNullPrototype: true });
const credentials: fc.Arbitrary<RecordedCredentials> = fc.record(
  {
    kubernetesSecrets: fc.array(
      fc.tuple(identities, words).map(([identity, credentialHash]) => ({ ...identity, credentialHash })),
      { maxLength: 3 },
    ),
    kubernetesServiceAccounts: fc.array(identities, { maxLength: 2 }),
    nodePodsAccessible: fc.boolean(),
  },
  { noNullPrototype: true },
);

test('what is written is read back the same, whatever the names', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(words, credentials), { maxLength: 3 }), words, (mapping, imageRef) => {
      const value: PulledRecord = {
        imageRef,
        lastUpdatedTime: '2025-01-01T00:00:00Z',
        credentialMapping: new Map(mapping),
      };
      assert.deepEqual(decodeRecord(encodeRecord(value)), { value, current: true });
      assert.deepEqual(decodeIntent(encodeIntent(imageRef)), { value: imageRef, current: true });
    }),
    FUZZ,
  );
});

test('damaged files are decoded or refused with a code, nothing else', () => {
  const whole = encodeRecord(record({ a: withSecrets(secret('s')), b: NODE }));
  const damaged = fc
    .tuple(fc.nat(whole.length), fc.nat(whole.length), fc.string({ maxLength: 4 }))
    .map(([from, to, text]) => whole.slice(0, Math.min(from, to)) + text + whole.slice(Math.max(from, to)));
  fc.assert(
    fc.property(fc.oneof(damaged, fc.string(), fc.json()), (text) => {
      try {
        decodeRecord(text);
      } catch (error) {
        assert.ok(error instanceof PullRecordError && error.code === 'BAD_RECORD');
      }
    }),
    FUZZ,
  );
});

test('3.27 merging is settled after one step, and a proof is never lost', () => {
  fc.assert(
    fc.property(credentials, credentials, (known, added) => {
      const first = mergeRecord(record({ a: known }), 'sha256:1', 'a', added, NOW);
      if (first === undefined) return;
      assert.equal(mergeRecord(first, 'sha256:1', 'a', added, NOW), undefined);
      const merged = first.credentialMapping.get('a');
      assert.ok(
        merged?.nodePodsAccessible === true ||
          added.kubernetesSecrets.length === 0 ||
          (merged?.kubernetesSecrets.length ?? 0) > 0,
      );
    }),
    FUZZ,
  );
});
