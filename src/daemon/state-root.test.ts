import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { defaultRootPath, openStateRoot } from './state-root.ts';

async function withDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'drayage-root-'));
  try {
    await run(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

test('the root comes from DRAYAGE_ROOT, else from who runs the program', () => {
  assert.equal(defaultRootPath({ DRAYAGE_ROOT: '/data' }, 0), '/data');
  assert.equal(defaultRootPath({}, 0), '/var/lib/drayage');
  assert.equal(defaultRootPath({ XDG_DATA_HOME: '/home/a/share' }, 1000), '/home/a/share/drayage');
});

test('a second process is refused with the name of the first, and let in once that one was killed', async () => {
  await withDirectory(async (directory) => {
    const source = `import { openStateRoot } from ${JSON.stringify(new URL('state-root.ts', import.meta.url).href)};
      await openStateRoot(${JSON.stringify(directory)}, 'dray up'); process.stdout.write('open'); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(child.stdout, 'data');
      await assert.rejects(openStateRoot(directory, 'dray pull'), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'HELD');
        assert.match(error.message, new RegExp(`held by process ${child.pid} \\(dray up, since 20`));
        return true;
      });
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    (await openStateRoot(directory, 'dray up')).close();
  });
});

test('a root that a newer version wrote is refused and left as it was', async () => {
  await withDirectory(async (directory) => {
    await writeFile(join(directory, 'format'), '7\n');
    await assert.rejects(openStateRoot(directory, 'dray up'), {
      code: 'NEWER_FORMAT',
      message: /format 7, this version knows 1/,
    });
  });
});

test('a root below a file is refused in one sentence that says what to do', async () => {
  await withDirectory(async (directory) => {
    await writeFile(join(directory, 'file'), '');
    await assert.rejects(openStateRoot(join(directory, 'file', 'root'), 'dray up'), {
      code: 'NOT_USABLE',
      message: /ENOTDIR; name another with --root/,
    });
  });
});
