import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { FaultRegistry } from '../../test/support/fault-registry.ts';
import { layerOf, pullNode } from '../../test/support/pull-node.ts';
import type { Digest } from '../oci/digest.ts';

/** Processes killed; more with `KILLS`. */
const KILLS = Number(process.env['KILLS'] ?? 4);
const CHILD = fileURLToPath(new URL('../../test/support/pull-until-killed.ts', import.meta.url));

test(`after kill -9 in mid-pull, ${KILLS} times, nothing wrong is visible and the next pull completes`, async (t) => {
  const registry = await FaultRegistry.start();
  t.after(() => registry.close());
  const layers = [layerOf('one', 4_000_000), layerOf('two', 2_000_000), layerOf('three', 30_000)];
  const image = registry.putImage('app', 'v1', layers);
  const reference = `${registry.host}/app:v1`;
  const root = await mkdtemp(join(tmpdir(), 'dray-kill-'));
  for (let kill = 0; kill < KILLS; kill++) {
    // Each gets a little further: its stream stalls, and there it is killed.
    const path = new RegExp(`blobs/${image.layers[0]?.digest}`);
    registry.fault('GET', path, { kind: 'stall', afterBytes: 600_000 }, 1);
    const asked = registry.nextRequest('GET', path);
    const child = fork(CHILD, [root, reference], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const exited = once(child, 'exit');
    const ended = new Promise<void>((resolve) =>
      child.on('message', (word) => {
        if (word === 'ended') resolve();
      }),
    );
    await Promise.race([asked, ended, exited]);
    // From here on the moment is left to chance, and to how far the last ones got.
    for (let turns = kill * 200; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
    child.kill('SIGKILL');
    await exited;
    await assertSound(root);
  }
  const node = await pullNode(t, { root, unpacks: true });
  const pulled = await node.puller.pull({ reference, signal: AbortSignal.timeout(60_000) });
  assert.equal(pulled.imageId, image.config.digest);
  for (const { diffId } of layers) assert.equal(await node.layerStore?.isUnpacked(diffId as Digest), true);
  await assertSound(root);
  assert.deepEqual(
    (await node.images.list()).map((each) => each.id),
    [image.config.digest],
  );
});

/** Everything that is visible in the store is what its name says. */
async function assertSound(root: string): Promise<void> {
  const directory = join(root, 'content', 'blobs', 'sha256');
  for (const name of await readdir(directory)) {
    const bytes = await readFile(join(directory, name));
    assert.equal(createHash('sha256').update(bytes).digest('hex'), name);
  }
}
