import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { ManualClock } from '../base/manual-clock.ts';
import { silentLogger } from '../observe/logger.ts';
import type { ContainerStatus } from '../runtime/runtime-service.ts';
import { runtimeOf, statusOf } from './_container-fixture.ts';
import { LogRotation } from './log-rotation.ts';

const SIGNAL = new AbortController().signal;
const DAY = 86_400_000;

async function rotation(t: TestContext, more: Partial<ContainerStatus> = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'drayage-logs-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const clock = new ManualClock(Date.parse('2026-01-02T03:04:05Z'));
  const status = statusOf('a', { logPath: join(directory, '0.log'), ...more });
  const runtime = runtimeOf({
    listContainers: () => Promise.resolve([status]),
    // As a runtime does that is told to: it makes the file anew.
    reopenContainerLog: () => writeFile(status.logPath, ''),
  });
  const options = { runtime, clock, logger: silentLogger, maxSizeBytes: 10, maxFiles: 3 };
  return {
    clock,
    log: status.logPath,
    rotation: new LogRotation(options),
    names: async () => (await readdir(directory)).toSorted(),
    text: (name: string) => readFile(join(directory, name)),
  };
}

test('a log that is full is set aside, the one before is compressed, and no more files stay than may', async (t) => {
  const bench = await rotation(t);
  for (let round = 0; round < 4; round++) {
    await writeFile(bench.log, `full log ${round}`);
    await bench.rotation.rotate(SIGNAL);
    await bench.clock.advance(DAY);
  }
  assert.deepEqual(await bench.names(), ['0.log', '0.log.20260104-030405.gz', '0.log.20260105-030405']);
  assert.equal(gunzipSync(await bench.text('0.log.20260104-030405.gz')).toString(), 'full log 2');
  assert.equal((await bench.text('0.log.20260105-030405')).toString(), 'full log 3');
});

test('a log that is not full stays, and so does that of a container that has ended', async (t) => {
  const short = await rotation(t);
  await writeFile(short.log, 'nine char');
  await short.rotation.rotate(SIGNAL);
  assert.deepEqual(await short.names(), ['0.log']);
  const ended = await rotation(t, { state: 'exited' });
  await writeFile(ended.log, 'as full as can be');
  await ended.rotation.rotate(SIGNAL);
  assert.deepEqual(await ended.names(), ['0.log']);
});

test('what a compression left that was cut short goes with the next one; logs are looked at every ten seconds', async (t) => {
  const bench = await rotation(t);
  await writeFile(`${bench.log}.20260101-000000.tmp`, 'half');
  await writeFile(bench.log, 'full again');
  const stop = new AbortController();
  const running = bench.rotation.run(stop.signal);
  await bench.clock.advance(9_999);
  assert.equal((await bench.names()).length, 2);
  await bench.clock.advance(1);
  while ((await bench.names()).some((name) => name.endsWith('.tmp'))) await new Promise(setImmediate);
  while ((await bench.names()).length < 2) await new Promise(setImmediate);
  assert.deepEqual(await bench.names(), ['0.log', '0.log.20260102-030415']);
  stop.abort();
  await running;
});
