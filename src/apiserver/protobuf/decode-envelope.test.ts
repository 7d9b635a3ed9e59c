import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { protobufToJson } from './decode-envelope.ts';
import { resources } from '../../kube/resources.ts';
import { closureOf, findKindStruct } from '../../kube/schema/schema.ts';
import { canDecode, decodeStruct } from './decode-struct.ts';
import { ProtobufError } from './protobuf-error.ts';
import { readFields } from './wire-reader.ts';

const RUNS = Math.min(30_000, Number(process.env['FUZZ_RUNS'] ?? 1000));

/** Writes protobuf, for the tests only: `[number, value]` with a number as varint, bytes and text as themselves. */
type Field = readonly [number: number, value: number | string | Uint8Array];
function encode(...fields: readonly Field[]): Buffer {
  return Buffer.concat(
    fields.map(([number, value]) => {
      if (typeof value === 'number') return Buffer.concat([varint(number * 8), varint(value)]);
      const bytes = Buffer.from(value);
      return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
    }),
  );
}
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Buffer.from(bytes);
}
const body = (apiVersion: string, kind: string, raw: Uint8Array): Buffer =>
  Buffer.concat([
    Buffer.from('k8s\0'),
    encode([1, encode([1, apiVersion], [2, kind])], [2, raw], [3, ''], [4, '']),
  ]);
const decode = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(protobufToJson(bytes)).toString());

test('a secret as kubectl sends it becomes its JSON', () => {
  const metadata = encode([1, 'reg'], [2, ''], [3, 'team'], [5, ''], [7, 0], [8, encode()]);
  const raw = encode(
    [1, metadata],
    [2, encode([1, '.dockerconfigjson'], [2, '{}'])],
    [3, 'kubernetes.io/dockerconfigjson'],
  );
  assert.deepEqual(decode(body('v1', 'Secret', raw)), {
    kind: 'Secret',
    apiVersion: 'v1',
    metadata: { name: 'reg', namespace: 'team' },
    data: { '.dockerconfigjson': Buffer.from('{}').toString('base64') },
    type: 'kubernetes.io/dockerconfigjson',
  });
});

test('zero values are left out where absent means the same, and kept where it does not', () => {
  const spec = encode([1, 0], [2, encode([1, encode([1, 'app'], [2, 'a'])])]);
  const deployment = decode(body('apps/v1', 'Deployment', encode([2, spec]))) as {
    spec: Record<string, unknown>;
  };
  assert.equal(deployment.spec['replicas'], 0);
  assert.deepEqual(deployment.spec['selector'], { matchLabels: { app: 'a' } });
  assert.ok(!('paused' in deployment.spec));
});

test('fields of structs that JSON does not name appear in the struct around them', () => {
  // Volume: name 1, source 2; source: hostPath 1, emptyDir 2; hostPath: path 1.
  const volume = encode([1, 'v'], [2, encode([1, encode([1, '/data'])])]);
  assert.deepEqual(decodeStruct('core.v1.Volume', volume), { name: 'v', hostPath: { path: '/data' } });
});

test('quantities, times, and numbers that may be words are decoded', () => {
  const requirements = encode([2, encode([1, 'cpu'], [2, encode([1, '100m'])])]);
  assert.deepEqual(decodeStruct('core.v1.ResourceRequirements', requirements), { requests: { cpu: '100m' } });
  const update = encode([1, encode([1, 1], [3, '25%'])], [2, encode([1, 0], [2, 3])]);
  assert.deepEqual(decodeStruct('apps.v1.RollingUpdateDeployment', update), {
    maxUnavailable: '25%',
    maxSurge: 3,
  });
  const meta = encode([8, encode([1, 1_767_225_600])]);
  assert.equal(decodeStruct('meta.v1.ObjectMeta', meta)['creationTimestamp'], '2026-01-01T00:00:00Z');
});

test('negative numbers survive', () => {
  assert.equal(decodeStruct('core.v1.PodSpec', encode([4, -1]))['terminationGracePeriodSeconds'], -1);
});

test('a map key may be called __proto__ without becoming one', () => {
  const decoded = decodeStruct('core.v1.ConfigMap', encode([2, encode([1, '__proto__'], [2, 'x'])]));
  assert.equal(Object.getPrototypeOf(decoded['data']), Object.prototype);
  assert.ok(Object.hasOwn(decoded['data'] as object, '__proto__'));
});

test('fields of a newer version are skipped', () => {
  assert.deepEqual(decodeStruct('core.v1.LocalObjectReference', encode([1, 'a'], [999, 'future'])), {
    name: 'a',
  });
});

const refusals: readonly (readonly [name: string, bytes: Uint8Array, code: string])[] = [
  ['something else', Buffer.from('{"kind":"Pod"}'), 'MALFORMED'],
  ['nothing', Buffer.alloc(0), 'MALFORMED'],
  ['a body that ends early', body('v1', 'Pod', encode([1, 'abc'])).subarray(0, 20), 'TRUNCATED'],
  ['a kind that is not served', body('v9', 'Spaceship', encode()), 'UNKNOWN_KIND'],
  [
    'a length beyond the body',
    Buffer.concat([Buffer.from('k8s\0'), Buffer.from([0x0a, 0xff, 0xff, 0x7f])]),
    'TRUNCATED',
  ],
];
for (const [name, bytes, code] of refusals) {
  test(`a protobuf body is refused: ${name}`, () => {
    assert.throws(
      () => protobufToJson(bytes),
      (error) => error instanceof ProtobufError && error.code === code,
    );
  });
}

test('a Service is read with its ports and their targets', () => {
  const target = encode([1, 1], [3, 'http']);
  const port = encode([1, 'web'], [2, 'TCP'], [3, 80], [4, target]);
  const spec = encode([1, port], [3, '10.96.0.9'], [4, 'ClusterIP'], [18, '10.96.0.9'], [22, 'Cluster']);
  assert.deepEqual(decodeStruct('core.v1.Service', encode([2, spec])), {
    spec: {
      ports: [{ name: 'web', protocol: 'TCP', port: 80, targetPort: 'http' }],
      clusterIP: '10.96.0.9',
      type: 'ClusterIP',
      clusterIPs: ['10.96.0.9'],
      internalTrafficPolicy: 'Cluster',
    },
  });
});

test('nesting that the schema does not have is skipped, however deep', () => {
  let nested = encode();
  for (let i = 0; i < 5000; i++) nested = encode([1, nested]);
  assert.doesNotThrow(() => decodeStruct('core.v1.ConfigMap', encode([1, nested])));
});

test('any bytes are either read or refused with an error of ours', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      try {
        protobufToJson(body('v1', 'Pod', bytes));
      } catch (error) {
        assert.ok(error instanceof ProtobufError || error instanceof SyntaxError, String(error));
      }
    }),
    { numRuns: RUNS },
  );
});

test('varints and bytes are read as written', () => {
  fc.assert(
    fc.property(fc.nat(), fc.string(), (number, text) => {
      const [first, second] = [...readFields(encode([1, number], [2, text]))];
      assert.ok(first?.type === 'varint' && first.value === BigInt(number));
      assert.ok(
        second?.type === 'bytes' && Buffer.from(second.value).toString() === Buffer.from(text).toString(),
      );
    }),
    { numRuns: RUNS },
  );
});

test('every kind that is served can be read, save definitions, which clients send as JSON', () => {
  const kinds = resources.map(({ group, version, kind }) => findKindStruct(group, version, kind));
  const unread = closureOf(kinds.filter((struct) => struct !== undefined))
    .map(({ name }) => name)
    .filter((name) => !canDecode(name) && !name.startsWith('apiextensions.'));
  // Parts of statuses that came after these numbers were written down: no client sends them.
  assert.deepEqual(unread.toSorted(), [
    'core.v1.ImageVolumeStatus',
    'core.v1.NodeAllocatableResourceClaimStatus',
    'core.v1.PodSchedulingGroup',
    'core.v1.VolumeStatus',
  ]);
});

test('a kind whose numbers are not known is refused, not emptied', () => {
  const definition = body('apiextensions.k8s.io/v1', 'CustomResourceDefinition', encode());
  assert.throws(() => decode(definition), /is not read as protobuf/);
});

test('a service as kubectl sends it becomes its JSON', () => {
  const port = encode([1, 'web'], [2, 'TCP'], [3, 80], [4, encode([1, 0], [2, 8080], [3, ''])]);
  const raw = encode([1, encode([1, 'svc'])], [2, encode([1, port], [4, 'ClusterIP'])]);
  assert.deepEqual(decode(body('v1', 'Service', raw)), {
    kind: 'Service',
    apiVersion: 'v1',
    metadata: { name: 'svc' },
    spec: { ports: [{ name: 'web', protocol: 'TCP', port: 80, targetPort: 8080 }], type: 'ClusterIP' },
  });
});
