import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Descriptor } from '../oci/descriptor.ts';
import { digestOf } from '../oci/digest.ts';
import { readVerified, verified } from './verified-reader.ts';

const never = new AbortController().signal;

function described(bytes: Uint8Array, change: Partial<Descriptor> = {}): Descriptor {
  return { mediaType: 'application/octet-stream', digest: digestOf(bytes), size: bytes.length, ...change };
}

async function drain(stream: Readable): Promise<{ bytes: Buffer; error: unknown }> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    return { bytes: Buffer.concat(chunks), error: undefined };
  } catch (error) {
    return { bytes: Buffer.concat(chunks), error };
  }
}

test('right bytes pass whole, however they are cut', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 20 })), async (pieces) => {
      const whole = Buffer.concat(pieces);
      const source = Readable.from(
        pieces.map((piece) => Buffer.from(piece)),
        { objectMode: true },
      );
      const { bytes, error } = await drain(verified(source, described(whole), never));
      assert.equal(error, undefined);
      assert.ok(bytes.equals(whole));
    }),
    // Each makes streams.
    { numRuns: Math.min(20_000, Number(process.env['FUZZ_RUNS'] ?? 200)) },
  );
});

test('wrong bytes never come out whole', async (t) => {
  const good = Buffer.from('0123456789');
  for (const [name, sent, expected, code] of [
    ['another digest', good, described(good, { digest: digestOf('x') }), 'DIGEST_MISMATCH'],
    ['too short', good.subarray(0, 6), described(good), 'SIZE_MISMATCH'],
    ['too long', Buffer.concat([good, good]), described(good), 'SIZE_MISMATCH'],
  ] as const) {
    await t.test(name, async () => {
      for (const cut of [1, 4, 100]) {
        const pieces: Buffer[] = [];
        for (let at = 0; at < sent.length; at += cut) pieces.push(sent.subarray(at, at + cut));
        const { bytes, error } = await drain(verified(Readable.from(pieces), expected, never));
        assert.equal((error as { code?: string } | undefined)?.code, code);
        assert.ok(bytes.length < sent.length);
        assert.ok(bytes.length < good.length);
      }
    });
  }
});

test('an abort ends the stream with the reason', async () => {
  const abort = new AbortController();
  const endless = Readable.from(
    (async function* () {
      for (;;) yield await new Promise<Buffer>((resolve) => setImmediate(() => resolve(Buffer.from('x'))));
    })(),
  );
  const stream = verified(endless, described(Buffer.alloc(1 << 20)), abort.signal);
  const drained = drain(stream);
  setImmediate(() => abort.abort(new Error('enough')));
  const { error } = await drained;
  assert.match(String((error as Error).cause ?? error), /enough|abort/i);
});

test('an abort before the first byte was asked for closes what the bytes would have come from', async () => {
  const source = Readable.from([Buffer.from('bytes')]);
  const ending = new AbortController();
  const reader = verified(source, described(Buffer.from('bytes')), ending.signal);
  reader.on('error', () => undefined);
  ending.abort();
  await once(source, 'close');
  assert.ok(source.destroyed);
});

test('a document above the limit is not read', async () => {
  const provider = { open: () => Promise.reject(new Error('opened')) };
  await assert.rejects(readVerified(provider, described(Buffer.alloc(11)), never, 10), {
    code: 'OUT_OF_RANGE',
  });
});
