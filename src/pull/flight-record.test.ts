import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { FlightRecorder, FlightRecords, type FlightRecord } from './flight-record.ts';

async function records(t: TestContext): Promise<{ directory: string; kept: FlightRecords }> {
  const root = await mkdtemp(join(tmpdir(), 'dray-records-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  const directory = join(root, 'pulls');
  return { directory, kept: new FlightRecords(directory) };
}

const RECORD: Omit<FlightRecord, 'id'> = {
  image: 'r.example/app:v1',
  startedAt: '2026-01-01T00:00:00.000Z',
  durationMs: 1,
  outcome: 'pulled',
  hops: [],
  hopsLeftOut: 0,
  parts: [],
};

test('a record is read back as it was written, for the owner alone', async (t) => {
  const { directory, kept } = await records(t);
  const id = FlightRecords.newId(5);
  await kept.keep({ id, ...RECORD });
  assert.deepEqual(await kept.read(id), { id, ...RECORD });
  assert.equal((await stat(join(directory, `${id}.json`))).mode & 0o777, 0o600);
});

test('only the last two hundred are kept', async (t) => {
  const { directory, kept } = await records(t);
  const ids: string[] = [];
  for (let time = 0; time < 205; time++) {
    const id = FlightRecords.newId(time);
    ids.push(id);
    await kept.keep({ id, ...RECORD });
  }
  assert.deepEqual(await kept.ids(), ids.slice(5));
  assert.equal((await readdir(directory)).length, 200);
});

test('of many hops the first and the last are kept and the rest counted', () => {
  const recorder = new FlightRecorder();
  for (let at = 0; at < 1_000; at++)
    recorder.hop({
      at,
      purpose: 'manifest',
      method: 'GET',
      url: 'https://r.example/',
      host: 'r.example',
      durationMs: 0,
    });
  const { hops, hopsLeftOut } = recorder.hops;
  assert.deepEqual([hops.length, hopsLeftOut, hops[0]?.at, hops.at(-1)?.at], [400, 600, 0, 999]);
});

test('what is not there, not a record or not readable is undefined', async (t) => {
  const { directory, kept } = await records(t);
  assert.deepEqual(await kept.ids(), []);
  assert.equal(await kept.read('0-ab'), undefined);
  assert.equal(await kept.read('../../etc/passwd'), undefined);
  await kept.keep({ id: FlightRecords.newId(1), ...RECORD });
  await writeFile(join(directory, '0-ab.json'), '{"id":');
  assert.equal(await kept.read('0-ab'), undefined);
});
