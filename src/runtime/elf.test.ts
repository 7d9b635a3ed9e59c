import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { parseElfHeader, readElfHeader } from './elf.ts';

const HOST: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

test('the running Node is a program of this processor with a dynamic loader', async () => {
  const header = await readElfHeader(process.execPath);
  assert.equal(header?.architecture, HOST[process.arch]);
  assert.equal(header?.bits, 64);
  assert.match(header?.interpreter ?? '', /^\/.*ld/);
});

test('a text file is no ELF file', async () => {
  assert.equal(await readElfHeader(fileURLToPath(import.meta.url)), undefined);
});

test('a big-endian s390x header is read in its own byte order', () => {
  const head = Buffer.alloc(64);
  head.writeUInt32BE(0x7f454c46, 0);
  head[4] = 2;
  head[5] = 2;
  head.writeUInt16BE(22, 18);
  assert.deepEqual(parseElfHeader(head), { architecture: 's390x', bits: 64, interpreter: undefined });
});

test('any bytes give a header or none, never a crash', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (tail) => {
      parseElfHeader(Buffer.concat([Buffer.from([0x7f, 0x45, 0x4c, 0x46]), tail]));
    }),
    { numRuns: Math.min(30_000, Number(process.env['FUZZ_RUNS'] ?? 1000)) },
  );
});
