import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CredentialError } from './credential-error.ts';
import { decodeGoBase64 } from './go-base64.ts';

const runs = { numRuns: Number(process.env['FUZZ_RUNS'] ?? 1000) };

test('what Node encodes is decoded unchanged, padded and unpadded, with line ends anywhere', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(90), (bytes, at) => {
      const padded = Buffer.from(bytes).toString('base64');
      const broken = `${padded.slice(0, at)}\r\n${padded.slice(at)}`;
      assert.deepEqual(decodeGoBase64(broken), Buffer.from(bytes));
      assert.deepEqual(decodeGoBase64(padded.replaceAll('=', ''), 'unpadded'), Buffer.from(bytes));
    }),
    runs,
  );
});

// Offsets recorded from Kubernetes 1.36.2 for the first three; the others follow from the same rules.
const corrupt: [name: string, text: string, padding: 'padded' | 'unpadded', offset: number][] = [
  ['a character outside the alphabet', '!!!notbase64', 'padded', 0],
  ['the URL-safe alphabet', 'eyJhIjoi__77In0=', 'padded', 8],
  ['missing padding: where the last group begins', `${'eyJh'.repeat(27)}CA`, 'padded', 108],
  ['a single character', 'a', 'unpadded', 0],
  ['padding where none is allowed', 'YTpi=', 'unpadded', 4],
  ['padding that comes too early', 'Y===', 'padded', 1],
  ['one pad where two are due', 'YQ=', 'padded', 3],
  ['something else after the first pad', 'YQ=x', 'padded', 2],
  ['text after the padding', 'YWI=YWI=', 'padded', 4],
  ['a trailing space', 'YTpi ', 'unpadded', 4],
];
for (const [name, text, padding, offset] of corrupt) {
  test(`6.7 illegal base64 is reported at the byte where Go reports it: ${name}`, () => {
    assert.throws(
      () => decodeGoBase64(text, padding),
      (error) =>
        error instanceof CredentialError &&
        error.code === 'BAD_BASE64' &&
        error.message === `illegal base64 data at input byte ${offset}`,
    );
  });
}

test('any text is decoded or refused with an offset inside it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), fc.boolean(), (text, padded) => {
      try {
        decodeGoBase64(text, padded ? 'padded' : 'unpadded');
      } catch (error) {
        assert.ok(error instanceof CredentialError);
        const offset = Number(/byte (\d+)$/.exec(error.message)?.[1]);
        assert.ok(offset >= 0 && offset <= Buffer.byteLength(text));
      }
    }),
    runs,
  );
});
