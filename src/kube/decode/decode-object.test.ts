import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';

import { createFrom, resourceAt, statusOf } from '../fixtures/create-object.ts';
import { readRecorded } from '../fixtures/recorded.ts';
import { findKind } from '../resources.ts';
import { StatusError } from '../status.ts';
import { decodeObject, type FieldValidation } from './decode-object.ts';

interface Case {
  name: string;
  path: string;
  contentType: 'application/json' | 'application/yaml';
  body: unknown;
  code: number;
  answer?: object;
  warnings?: string[];
}

for (const { name, path, contentType, body, code, answer, warnings } of readRecorded<Case>(
  'rejected-bodies',
)) {
  const asked = new URLSearchParams(path.split('?')[1] ?? '').get('fieldValidation');
  const act = (): { warnings: string[] } =>
    createFrom(body, resourceAt(path), contentType, (asked ?? 'Warn') as FieldValidation);
  if (code === 201) {
    test(`recorded: ${name} is taken with the same warnings`, () => {
      assert.deepEqual(act().warnings.toSorted(), warnings?.toSorted());
    });
  } else {
    test(`recorded: ${name} is refused with the same Status`, () => {
      assert.deepEqual(statusOf(act), answer);
    });
  }
}

const pod = findKind('v1', 'Pod');
assert.ok(pod !== undefined);
const configMap = findKind('v1', 'ConfigMap');
assert.ok(configMap !== undefined);

const decodePod = (body: unknown): Record<string, unknown> =>
  decodeObject<Record<string, unknown> & { metadata: object }>(
    Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
    { mediaType: 'application/json', expect: pod, fieldValidation: 'Warn' },
  ).object;

test('zero values that are not printed go, those that are come', () => {
  const { spec } = decodePod({
    spec: { hostNetwork: false, hostname: '', nodeSelector: {}, containers: [{ image: 'x' }] },
  });
  assert.deepEqual(spec, { containers: [{ name: '', image: 'x', resources: {} }] });
});

test('values that tell absent from zero stay', () => {
  const { spec } = decodePod({
    spec: { automountServiceAccountToken: false, terminationGracePeriodSeconds: 0 },
  });
  assert.deepEqual(spec, { automountServiceAccountToken: false, terminationGracePeriodSeconds: 0 });
});

test('quantities and times become canonical', () => {
  const { metadata, spec } = decodePod({
    metadata: { creationTimestamp: '2026-01-01T01:00:00+01:00' },
    spec: { containers: [{ name: 'a', resources: { limits: { cpu: 0.5, memory: '1024Mi' } } }] },
  }) as { metadata: object; spec: { containers: object[] } };
  assert.deepEqual(metadata, { creationTimestamp: '2026-01-01T00:00:00Z' });
  assert.deepEqual(spec.containers, [{ name: 'a', resources: { limits: { cpu: '500m', memory: '1Gi' } } }]);
});

for (const [name, body, why] of [
  [
    'a quantity',
    { spec: { containers: [{ resources: { limits: { cpu: 'x' } } }] } },
    'quantities must match the regular expression',
  ],
  [
    'a time',
    { metadata: { creationTimestamp: 'soon' } },
    'parsing time "soon" as "2006-01-02T15:04:05Z07:00"',
  ],
  [
    'a float for a whole number',
    { spec: { activeDeadlineSeconds: 1.5 } },
    'cannot unmarshal number 1.5 into Go struct field PodSpec.spec.activeDeadlineSeconds of type int64',
  ],
  [
    'a number beyond 32 bits',
    { spec: { priority: 3e9 } },
    'cannot unmarshal number 3000000000 into Go struct field PodSpec.spec.priority of type int32',
  ],
  [
    'a list for a struct',
    { spec: [] },
    'cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec',
  ],
  [
    'a number in a map of text',
    { metadata: { labels: { a: 1 } } },
    'cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string',
  ],
] as const) {
  test(`${name} of the wrong form is refused in the words of Go`, () => {
    assert.match((statusOf(() => decodePod(body)) as { message: string }).message, new RegExp(escape(why)));
  });
}

function escape(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

test('a key named __proto__ survives in a ConfigMap and pollutes nothing', () => {
  const { object } = decodeObject<{ data: Record<string, string> } & { metadata: object }>(
    Buffer.from('{"data":{"__proto__":"x","a":"1"}}'),
    { mediaType: 'application/json', expect: configMap, fieldValidation: 'Strict' },
  );
  assert.deepEqual(Object.keys(object.data), ['__proto__', 'a']);
  assert.equal(Object.getPrototypeOf(object.data), Object.prototype);
});

test('any JSON value is decoded or refused with a Status, never with another error', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (spec) => {
      try {
        decodePod({ spec });
      } catch (error) {
        assert.ok(error instanceof StatusError, String(error));
        assert.equal(error.status.code, 400);
      }
    }),
    { numRuns: Math.min(30_000, Number(process.env['FUZZ_RUNS'] ?? 1000)) },
  );
});
