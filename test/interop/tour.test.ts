import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeRoot, removeRoot, runTour, startUp } from '../support/running-system.ts';

const DRAY = fileURLToPath(new URL('../../bin/dray.js', import.meta.url));

async function withRoot(run: (root: string) => Promise<void>): Promise<void> {
  const root = makeRoot();
  try {
    await run(root);
  } finally {
    removeRoot(root);
  }
}

test('D3: the tour shows the refusal, the secret, the events and SUCCESS, and a second one on the same root does too', async () => {
  await withRoot(async (root) => {
    for (const which of ['first', 'second']) {
      const { code, output } = await runTour(root);
      assert.equal(code, 0, `${which}: ${output}`);
      assert.match(
        output,
        /Failed to pull image "localhost:\d+\/private\/echo:v1": .*(?:authorization|insufficient_scope)/,
      );
      assert.match(output, /Error: ErrImagePull/);
      assert.match(output, /Back-off pulling image|Error: ImagePullBackOff/);
      assert.match(output, /Successfully pulled image|already present on machine/);
      assert.match(output, /kubectl logs private-image-test-1\n\s+SUCCESS\n/);
      assert.match(output, /The tour is complete/);
    }
  });
});

test('a system that was killed at any moment starts again on its root and finishes the tour', async () => {
  await withRoot(async (root) => {
    for (const after of [150, 400, 700, 1100, 1600, 2500]) {
      const child = spawn(
        process.execPath,
        [DRAY, 'up', '--tour', '--root', root, '--api-port', '0', '--registry-port', '0'],
        { stdio: 'ignore' },
      );
      // Moments, not events: the point is to hit whatever is going on.
      await new Promise((resolve) => setTimeout(resolve, after));
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    const { code, output } = await runTour(root);
    assert.equal(code, 0, output);
    assert.match(output, /\n\s+SUCCESS\n/);
  });
});

test('a root that is held is refused with the holder, and the holder goes on', async () => {
  await withRoot(async (root) => {
    const system = await startUp(root);
    try {
      const second = await runTour(root);
      assert.equal(second.code, 1);
      assert.match(second.output, new RegExp(`it is held by process ${system.process.pid} \\(dray up`));
      assert.equal(system.process.exitCode, null);
    } finally {
      assert.equal(await system.stop(), 0);
    }
  });
});

test('a root of a newer version is refused in one sentence', async () => {
  await withRoot(async (root) => {
    await writeFile(join(root, 'format'), '99\n');
    const { code, output } = await runTour(root);
    assert.equal(code, 1);
    assert.match(output, /^dray: Cannot open root directory .*: a newer version of dray wrote it/);
  });
});
