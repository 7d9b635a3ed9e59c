import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseEntry } from '../../src/runtime/cri-log.ts';
import { createLocalRuntime } from '../../src/runtime/local-runtime.ts';
import { CopyRootfs, makeTinyRoot, oneImage } from '../../src/runtime/_tiny-root.ts';

/* kill -9 of the agent at many moments of a container's start and output: the next agent ends in the right state. */

const AGENT = fileURLToPath(new URL('./start-one-container.ts', import.meta.url));
const LINES = 200;

/** Milliseconds after the container's ID is known; undefined: once it is reported as started. */
const MOMENTS = [0, 2, 5, 10, 20, 40, 80, undefined];

test('whenever the agent is killed, a container that was started runs to its end with all its output, once', async () => {
  const source = await makeTinyRoot();
  try {
    for (const moment of MOMENTS) await killAt(source, moment);
  } finally {
    await rm(source, { recursive: true, force: true });
  }
});

async function killAt(source: string, moment: number | undefined): Promise<void> {
  const base = await mkdtemp(join(tmpdir(), 'drayage-kill-'));
  const signal = AbortSignal.timeout(60_000);
  const root = join(base, 'run');
  const rootfs = join(base, 'rootfs');
  await mkdir(rootfs);
  const script = `i=0; while [ $i -lt ${LINES} ]; do echo line $i; i=$((i+1)); done; exit 7`;
  const child = spawn(
    process.execPath,
    [AGENT, root, source, rootfs, join(base, 'logs'), '/bin/sh', '-c', script],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const first = await lines.next();
    const id = String(first.value);
    if (moment === undefined) await lines.next();
    else await new Promise((resolve) => setTimeout(resolve, moment));
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;

    const runtime = await createLocalRuntime(
      { root, rootfs: new CopyRootfs(source, rootfs), images: oneImage({}) },
      signal,
    );
    try {
      let status = await runtime.containerStatus(id, signal);
      assert.ok(status !== undefined, 'the container is known');
      // One that was not begun stays created: its Pod's worker starts another.
      if (status.state === 'created') await runtime.stopContainer(id, 0, signal);
      while (status?.state === 'running') {
        await new Promise((resolve) => setTimeout(resolve, 20));
        status = await runtime.containerStatus(id, signal);
      }
      if (status?.state === 'exited') {
        assert.equal(status.exitCode, 7);
        const log = await readFile(status.logPath, 'utf8');
        const texts = log.split('\n').flatMap((line) => parseEntry(Buffer.from(line))?.text.toString() ?? []);
        assert.deepEqual(
          texts,
          Array.from({ length: LINES }, (_, i) => `line ${i}`),
        );
      } else assert.notEqual(moment, undefined);
      for (const box of await runtime.listPodSandboxes(signal))
        await runtime.removePodSandbox(box.id, signal);
      assert.deepEqual(await runtime.listContainers({}, signal), []);
    } finally {
      await runtime.close();
    }
  } finally {
    child.kill('SIGKILL');
    await rm(base, { recursive: true, force: true });
  }
}
