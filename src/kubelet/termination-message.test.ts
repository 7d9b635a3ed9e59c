import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { Pod } from '../kube/pod.ts';
import { formatEntries, formatLogTime } from '../runtime/cri-log.ts';
import { statusOf } from './_container-fixture.ts';
import { PodPaths } from './pod-paths.ts';
import { containerAnnotations, containerLabels } from './runtime-labels.ts';
import { TerminationMessages } from './termination-message.ts';

const LINES = Array.from({ length: 200 }, (_, index) => `line ${index}`);
/** Eighty of them are more bytes than are kept. */
const LONG_LINES = LINES.map((line) => line.padEnd(30, '.'));
const ended = { state: 'exited', exitCode: 1 } as const;

const logOf = (lines: readonly string[]): Buffer =>
  Buffer.concat(
    formatEntries(Buffer.from(`${lines.join('\n')}\n`), 'stdout', formatLogTime(0), true).entries,
  );

for (const [what, policy, file, status, message] of [
  ['what it wrote into its file', 'File', 'last words', ended, 'last words'],
  ['the first 4096 bytes of that', 'File', 'x'.repeat(5000), ended, 'x'.repeat(4096)],
  ['nothing, where it wrote nothing', 'File', undefined, ended, ''],
  ['its file before its log', 'FallbackToLogsOnError', 'last words', ended, 'last words'],
  [
    'the last 80 lines of its log, where it may and failed',
    'FallbackToLogsOnError',
    undefined,
    ended,
    LINES.slice(-80)
      .map((line) => `${line}\n`)
      .join(''),
  ],
  [
    'the last 2048 bytes of those lines',
    'FallbackToLogsOnError',
    undefined,
    ended,
    LONG_LINES.map((line) => `${line}\n`)
      .join('')
      .slice(-2048),
  ],
  [
    'nothing of its log, where it did not fail',
    'FallbackToLogsOnError',
    undefined,
    { state: 'exited', exitCode: 0 },
    '',
  ],
  ['nothing while it runs', 'File', 'last words', { state: 'running', exitCode: 0 }, ''],
] as const) {
  test(`a container’s last words are ${what}`, async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'drayage-words-'));
    t.after(() => rm(root, { recursive: true, force: true }));
    const container = { name: 'a', image: 'i', terminationMessagePolicy: policy };
    const pod: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'd', uid: 'u' },
      spec: { containers: [container] },
    };
    const paths = new PodPaths(root);
    const logPath = join(root, '0.log');
    await writeFile(logPath, logOf(what.includes('2048') ? LONG_LINES : LINES));
    const path = paths.terminationLog('u', 'a', 0);
    await mkdir(dirname(path), { recursive: true });
    if (file !== undefined) await writeFile(path, file);
    const one = statusOf('a', {
      ...status,
      logPath,
      labels: containerLabels(pod, container),
      annotations: containerAnnotations(pod, container, 0),
    });
    const messages = new TerminationMessages(paths);
    await messages.read([one]);
    assert.equal(messages.get(one), message);
  });
}
