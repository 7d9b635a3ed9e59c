import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import { LogPump } from './log-pump.ts';

interface Bench {
  readonly directory: string;
  readonly logPath: string;
  pump(): LogPump;
  write(stream: 'stdout' | 'stderr', text: string): Promise<void>;
  /** Texts of the log's entries, without their times. */
  log(): Promise<string[]>;
}

async function bench(t: TestContext): Promise<Bench> {
  const directory = await mkdtemp(join(tmpdir(), 'drayage-pump-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const logPath = join(directory, 'logs/a/0.log');
  await writeFile(join(directory, 'stdout'), '');
  await writeFile(join(directory, 'stderr'), '');
  return {
    directory,
    logPath,
    pump: () => new LogPump({ directory, logPath, clock: new ManualClock(0) }),
    write: (stream, text) => appendFile(join(directory, stream), text),
    log: async () =>
      (await readFile(logPath, 'utf8'))
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => line.replace(/^\S+ /, '')),
  };
}

test('output of both streams arrives in the log, an unfinished line only when the container has ended', async (t) => {
  const { pump, write, log, directory } = await bench(t);
  const one = pump();
  await write('stdout', 'a\nb');
  await write('stderr', 'e\n');
  await one.pump();
  assert.deepEqual(await log(), ['stdout F a', 'stderr F e']);
  await one.finish();
  assert.deepEqual(await log(), ['stdout F a', 'stderr F e', 'stdout F b']);
  await assert.rejects(readFile(join(directory, 'stdout')), { code: 'ENOENT' });
});

test('a pump that is closed is followed by one that goes on where it was', async (t) => {
  const { pump, write, log } = await bench(t);
  const one = pump();
  await write('stdout', 'one\ntw');
  await one.pump();
  await one.close();
  await write('stdout', 'o\nthree\n');
  const two = pump();
  await two.finish();
  assert.deepEqual(await log(), ['stdout F one', 'stdout F two', 'stdout F three']);
});

test('entries that were written but not accounted for when the agent was killed are not there twice', async (t) => {
  const { pump, write, log, directory, logPath } = await bench(t);
  const one = pump();
  await write('stdout', 'one\n');
  await one.pump();
  const position = await readFile(join(directory, 'position'));
  await write('stdout', 'two\n');
  await one.pump();
  await one.close();
  // As if the machine had stopped between the entry and the note of it, with half an entry more.
  await writeFile(join(directory, 'position'), position);
  await appendFile(logPath, '1970-01-01T00:00:00.000000000Z stdo');
  const two = pump();
  await two.finish();
  assert.deepEqual(await log(), ['stdout F one', 'stdout F two']);
});

test('after rotation new output goes to the new file and the old one stays whole', async (t) => {
  const { pump, write, log, logPath } = await bench(t);
  const one = pump();
  await write('stdout', 'old\n');
  await one.pump();
  await rename(logPath, `${logPath}.1`);
  await write('stdout', 'between\n');
  await one.reopen();
  await write('stdout', 'new\n');
  await one.finish();
  assert.deepEqual(await log(), ['stdout F new']);
  assert.match(await readFile(`${logPath}.1`, 'utf8'), /F old\n.*F between\n$/s);
});
