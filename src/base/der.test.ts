import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { der, DER_OCTET_STRING, DER_SEQUENCE, DerError, derItems, derOid, oidOf, readDer } from './der.ts';

const runs = { numRuns: Math.min(30_000, Number(process.env['FUZZ_RUNS'] ?? 1000)) };

test('what was written is read again, however long', () => {
  for (const length of [0, 1, 127, 128, 255, 256, 65_535, 65_536]) {
    const content = Buffer.alloc(length, 7);
    const value = readDer(der(DER_OCTET_STRING, content), DER_OCTET_STRING);
    assert.ok(Buffer.from(value.content).equals(content), String(length));
  }
  const list = der(DER_SEQUENCE, der(2, Buffer.from([1])), der(2, Buffer.from([2])));
  assert.deepEqual(
    derItems(readDer(list)).map(({ content }) => content[0]),
    [1, 2],
  );
});

test('object identifiers are printed as they were given', () => {
  for (const oid of [
    '2.5.4.3',
    '1.2.840.113549.1.1.11',
    '1.3.101.112',
    '2.16.840.1.101.3.4.2.1',
    '0.9.2342',
  ]) {
    assert.equal(oidOf(readDer(derOid(oid))), oid);
  }
});

describe('what is no DER is refused in the words of Go:', () => {
  for (const [name, bytes, message] of [
    ['nothing', [], 'asn1: syntax error: sequence truncated'],
    ['a tag alone', [0x30], 'asn1: syntax error: data truncated'],
    ['less than was said', [0x30, 5, 1], 'asn1: syntax error: data truncated'],
    ['a length without end', [0x30, 0x80, 0, 0], 'asn1: syntax error: data truncated'],
    ['a length beyond all bounds', [0x30, 0x85, 1, 1, 1, 1, 1], 'asn1: syntax error: data truncated'],
    ['more than one value', [2, 1, 1, 2, 1, 1], 'asn1: syntax error: trailing data'],
    ['another value', [2, 1, 1], "asn1: structure error: tags don't match"],
  ] as const) {
    test(name, () => {
      assert.throws(() => readDer(Buffer.from(bytes), DER_SEQUENCE), { message });
    });
  }
});

test('any bytes are read or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        const value = readDer(bytes);
        assert.ok(value.whole.length === bytes.length);
      } catch (error) {
        assert.ok(error instanceof DerError);
      }
    }),
    runs,
  );
});
