import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { parseLogOptions, type LogOptions } from './log-options.ts';
import { logTarget } from './log-target.ts';
import { readLog } from './read-log.ts';

const NOW = Date.parse('2026-01-02T03:04:10Z');
const LOG = [
  '2026-01-02T03:04:05.000000000Z stdout F one',
  '2026-01-02T03:04:06.000000000Z stderr F two',
  '2026-01-02T03:04:07.000000000Z stdout P thr',
  '2026-01-02T03:04:07.000000000Z stdout F ee',
  '',
].join('\n');

async function logFile(t: TestContext, text: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'drayage-log-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, '0.log');
  await writeFile(path, text);
  return path;
}

function options(query: string): LogOptions {
  const parsed = parseLogOptions(new URLSearchParams(query), NOW);
  assert.ok(typeof parsed !== 'string');
  return parsed;
}

const signal = AbortSignal.timeout(60_000);

const cases: [query: string, expected: string][] = [
  ['', 'one\ntwo\nthree\n'],
  ['tailLines=2', 'three\n'],
  ['tailLines=3', 'two\nthree\n'],
  ['tailLines=0', ''],
  ['tailLines=100', 'one\ntwo\nthree\n'],
  ['limitBytes=5', 'one\nt'],
  ['sinceTime=2026-01-02T03:04:06Z', 'two\nthree\n'],
  ['sinceSeconds=3', 'three\n'],
  ['stream=Stderr', 'two\n'],
  [
    'timestamps=true',
    '2026-01-02T03:04:05.000000000Z one\n2026-01-02T03:04:06.000000000Z two\n2026-01-02T03:04:07.000000000Z three\n',
  ],
];
for (const [query, expected] of cases) {
  test(`a log with "${query}" is ${JSON.stringify(expected)}`, async (t) => {
    const path = await logFile(t, LOG);
    const chunks: Buffer[] = [];
    for await (const chunk of readLog(path, options(query), async () => Promise.resolve(false), signal)) {
      chunks.push(chunk);
    }
    assert.equal(Buffer.concat(chunks).toString(), expected);
  });
}

test('a followed log goes on over rotation until the container has ended', async (t) => {
  const path = await logFile(t, LOG);
  let running = true;
  let text = '';
  for await (const chunk of readLog(
    path,
    options('follow=true'),
    async () => Promise.resolve(running),
    signal,
  )) {
    text += chunk.toString();
    if (text.endsWith('three\n')) {
      await appendFile(path, '2026-01-02T03:04:08.000000000Z stdout F four\n');
    } else if (text.endsWith('four\n')) {
      await rename(path, `${path}.1`);
      await writeFile(path, '2026-01-02T03:04:09.000000000Z stdout F five\n');
    } else if (text.endsWith('five\n')) running = false;
  }
  assert.equal(text, 'one\ntwo\nthree\nfour\nfive\n');
});

test('a parameter that is no number is refused', () => {
  assert.equal(parseLogOptions(new URLSearchParams('tailLines=x'), NOW), 'invalid tailLines: "x"');
});

const waiting: [reason: string, words: string][] = [
  ['ErrImagePull', "is waiting to start: image can't be pulled"],
  ['ImagePullBackOff', 'is waiting to start: trying and failing to pull image'],
  ['ErrImageNeverPull', 'is waiting to start: ErrImageNeverPull'],
  ['PodInitializing', 'is waiting to start: PodInitializing'],
];
for (const [reason, words] of waiting) {
  test(`4.15 the log of a container that waits with ${reason}`, () => {
    const status = {
      containerStatuses: [
        { name: 'a', ready: false, restartCount: 0, image: '', imageID: '', state: { waiting: { reason } } },
      ],
    };
    assert.deepEqual(logTarget('p', status, 'a', false), {
      status: 400,
      message: `container "a" in pod "p" ${words}`,
    });
    assert.deepEqual(logTarget('p', status, 'a', true), {
      status: 400,
      message: 'previous terminated container "a" in pod "p" not found',
    });
  });
}

test('a container that the status does not know yet has no log, which is no missing page', () => {
  assert.deepEqual(logTarget('p', { phase: 'Pending' }, 'a', false), {
    status: 400,
    message: 'container "a" in pod "p" is not available',
  });
});
