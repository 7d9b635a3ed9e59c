import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ImageGcForecast } from '../../src/kubelet/images/gc-forecast.ts';
import { pushTinyImage, tinyLayer } from '../node/real-image.ts';
import { freePort } from '../support/free-port.ts';
import { startNodeProcess } from '../support/node-process.ts';
import { runDray } from '../support/run-dray.ts';
import { makeRoot, removeRoot } from '../support/running-system.ts';
import { serveRegistry } from '../support/serve-registry.ts';

/* What dray gc --dry-run foretells, through a node that holds the root and without one. */

test('gc --dry-run foretells what the node cleans away, when, and why the rest stays', async (t) => {
  const registry = await serveRegistry(t);
  const layer = await tinyLayer();
  for (const name of ['used', 'idle']) await pushTinyImage(registry, layer, name, '1');
  const root = makeRoot();
  t.after(() => removeRoot(root));
  const state = join(root, 'state');
  const files = join(root, 'static');
  await mkdir(files);
  const dray = async (...args: string[]): Promise<string> => {
    const outcome = await runDray([...args, '--root', state]);
    assert.equal(outcome.code, 0, outcome.stderr);
    return outcome.stdout;
  };
  const forecast = async (): Promise<ImageGcForecast> =>
    (JSON.parse(await dray('gc', '--dry-run', '-o', 'json')) as { images: ImageGcForecast }).images;
  await dray('pull', '-q', `${registry.host}/idle:1`);

  const alone = await forecast();
  assert.equal(alone.policy.highThresholdPercent, 85);
  assert.deepEqual(
    alone.images.map(({ names, goes }) => [names[0], goes]),
    [[`${registry.host}/idle:1`, false]],
  );

  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'own' },
    spec: { containers: [{ name: 'a', image: `${registry.host}/used:1` }] },
  };
  await writeFile(join(files, 'own.json'), JSON.stringify(pod));
  const thresholds = ['--image-gc-high-threshold', '1', '--image-gc-low-threshold', '0'];
  const port = await freePort();
  const node = await startNodeProcess([
    '--standalone',
    '--node-name',
    'n1',
    '--root',
    state,
    '--pod-manifest-path',
    files,
    ...thresholds,
    '--read-only-port',
    String(port),
  ]);
  try {
    // A node of no cluster has no certificate; what it may tell everybody it tells in the clear.
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/healthz`)).text(), 'ok');
    // One that was made and does not run yet is named with its state.
    const isUsed = ({ usedBy }: { usedBy: readonly string[] }): boolean =>
      usedBy.includes('default/own-n1/a');
    let told = await forecast();
    while (!told.images.some(isUsed)) told = await forecast();
    assert.match(
      await (await fetch(`http://127.0.0.1:${port}/metrics`)).text(),
      /^drayage_pulls_total\{result="pulled"\} 1$/m,
    );
    const { ended } = (await (await fetch(`http://127.0.0.1:${port}/pulls`)).json()) as {
      ended: { pod: string }[];
    };
    assert.deepEqual(
      ended.map(({ pod }) => pod),
      ['default/own-n1'],
    );
    assert.ok(told.nextRunAt > Date.now());
    const [first, second] = told.images;
    assert.deepEqual(
      [first?.names[0], first?.goes, first?.reason, first?.at],
      [`${registry.host}/idle:1`, true, 'space', told.nextRunAt],
    );
    assert.deepEqual(
      [second?.names[0], second?.goes, second?.why, second?.usedBy],
      [`${registry.host}/used:1`, false, 'is in use', ['default/own-n1/a']],
    );
    const text = await dray('gc', '--dry-run');
    assert.match(
      text,
      /^The node cleans up images next in \d+[ms]: \d+% of \S+ \S+ are used; from 1% on images go, down to 0%; none younger than 2m0s\.$/m,
    );
    assert.match(text, /^\S+\/idle:1 +\S+ \S+ +goes +in \d+[ms] +the disk is \d+% full$/m);
    assert.match(text, /^\S+\/used:1 +\S+ \S+ +stays +is in use by default\/own-n1\/a$/m);
    assert.match(text, /^STEP +WOULD GO +KEPT +WOULD FREE$/m);
    // Foretelling removed nothing.
    assert.match(await dray('images', '-o', 'name'), /idle:1/);
  } finally {
    await node.stop();
  }
  // Containers go on, and their images are in use whoever asks.
  const after = await forecast();
  assert.deepEqual(after.images.find(({ names }) => names[0]?.includes('used'))?.usedBy, [
    'default/own-n1/a',
  ]);
});
