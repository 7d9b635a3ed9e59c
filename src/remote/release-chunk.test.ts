import assert from 'node:assert/strict';
import { test } from 'node:test';
import { releaseChunk } from './release-chunk.ts';

test('only memory that nobody shares is freed', () => {
  const rows: [string, Uint8Array, boolean][] = [
    ['a chunk of its own', new Uint8Array(65_536), true],
    ['what follows the head of an answer', new Uint8Array(65_536).subarray(300), true],
    ['a chunk with bytes of the connection behind it', new Uint8Array(65_536).subarray(0, 60_000), false],
    ['a piece of the pool', Buffer.from('x'.repeat(100)), false],
    ['the end of a pool', new Uint8Array(Buffer.poolSize).subarray(Buffer.poolSize - 100), false],
    ['a record of TLS', new Uint8Array(16_384), true],
    ['memory that threads share', new Uint8Array(new SharedArrayBuffer(65_536)), false],
  ];
  for (const [name, chunk, freed] of rows) {
    releaseChunk(chunk);
    assert.equal(chunk.length === 0, freed, name);
  }
});
