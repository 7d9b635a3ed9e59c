import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { PulledImages } from './pulled-images.ts';

test('3.24 3.32 a process killed at any moment leaves whole files, and no pulled image is taken for preloaded', async () => {
  const root = await mkdtemp(join(tmpdir(), 'drayage-crash-'));
  try {
    for (let round = 0; round < 6; round++) {
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, '../../../test/support/pull-record-writer.ts'), root],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      const noted = new Set<string>();
      let lines = 0;
      child.stdout.setEncoding('utf8');
      let rest = '';
      for await (const chunk of child.stdout) {
        const parts = (rest + String(chunk)).split('\n');
        rest = parts.pop() ?? '';
        for (const line of parts) noted.add(line.split(' ')[1] ?? '');
        lines += parts.length;
        // A different moment in each round.
        if (lines >= 5 + round * 11) child.kill('SIGKILL');
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      assert.equal(child.signalCode, 'SIGKILL');
      const images = await PulledImages.open({
        root,
        policy: 'NeverVerifyPreloadedImages',
        allowlist: [],
        maxPods: 110,
        maxParallelImagePulls: undefined,
        clock: systemClock,
        report: (message, error) => assert.fail(`${message}: ${error.message}`),
      });
      for (const name of noted) {
        const id = `sha256:${/app-(\d)/.exec(name)?.[1] ?? ''}`;
        const { result } = await images.mustPull(name, id, () =>
          Promise.resolve({ secrets: [], serviceAccount: undefined }),
        );
        assert.equal(result.pull, true, `${name} is open to a Pod without credentials`);
      }
    }
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
