import assert from 'node:assert/strict';
import { rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { NODES } from '../../src/kubelet/node/node-agent.ts';
import type { NodeObject } from '../../src/kubelet/node/node-object.ts';
import { serveRegistry } from '../support/serve-registry.ts';
import { mountSmallDisk } from '../support/small-disk.ts';
import { NODE, withNodeSystem, type NodeSystem } from './node-system.ts';
import { pushTinyImage, tinyLayer } from './real-image.ts';

/* A whole agent on a file system of 160 MiB that is really filled: images go first, then one Pod a round, and the node says so. */

const MIB = 1024 * 1024;
const ROUND_MS = 10_000;
const TRANSITION_MS = 30_000;

test('F2 11.26 to 11.31 a disk that fills: unused images go, then the Pod that took most, and the condition lifts again', async (t) => {
  const disk = await mountSmallDisk(160 * MIB);
  if ('unavailable' in disk) {
    t.skip(disk.unavailable);
    return;
  }
  const registry = await serveRegistry(t);
  const layer = await tinyLayer();
  await pushTinyImage(registry, layer, 'used', '1');
  await pushTinyImage(registry, layer, 'unused', '1', { cmd: ['/bin/true'] });
  const clock = new ManualClock(Date.now());
  try {
    await withNodeSystem(
      {
        realImages: true,
        base: disk.path,
        clock,
        evictionHard: { 'nodefs.available': '64Mi' },
        evictionTransitionPeriod: TRANSITION_MS,
      },
      async (system) => {
        const images = async (): Promise<string[]> =>
          (await system.stores().imageService.listImages(undefined, system.signal)).flatMap(
            ({ repoTags }) => repoTags,
          );
        await system.createPod('done', {
          restartPolicy: 'Never',
          containers: [{ name: 'a', image: `${registry.host}/unused:1` }],
        });
        await system.until('done', 'succeeded', (pod) => pod?.status?.phase === 'Succeeded');
        const writing = (mebibytes: number): string[] => [
          '/bin/sh',
          '-c',
          `head -c ${mebibytes * MIB} /dev/zero > /fill; trap "exit 0" TERM; sleep 1000000 & wait`,
        ];
        const createWriter = async (name: string, mebibytes: number): Promise<void> => {
          const container = { name: 'a', image: `${registry.host}/used:1`, command: writing(mebibytes) };
          await system.createPod(name, { containers: [container] });
          await system.until(name, 'running', (pod) => pod?.status?.phase === 'Running');
        };
        await createWriter('modest', 1);
        await createWriter('greedy', 16);
        assert.equal((await images()).length, 2);

        // Clean-up has seen the images, and they are old enough to go.
        await clock.advance(300_000);
        await clock.advance(130_000);
        await fillUpTo(disk.path, 40 * MIB);
        await condition(system, clock, 'True');
        await rounds(system, clock, 'greedy is evicted', async () =>
          (await system.events('greedy')).some(({ line }) => line.startsWith('Warning Evicted')),
        );
        // At once, so that no further round finds the disk as full.
        await rm(join(disk.path, 'filler'));
        const evicted = await system.until('greedy', 'failed', (pod) => pod?.status?.phase === 'Failed');
        assert.equal(evicted?.status?.reason, 'Evicted');
        assert.match(
          evicted?.status?.message ?? '',
          /^The node was low on resource: ephemeral-storage\. Threshold quantity: 64Mi, available: \d+Ki\. Container a was using \d+Ki, request is 0, has larger consumption of ephemeral-storage\. $/,
        );
        const disruption = evicted?.status?.conditions?.find(({ type }) => type === 'DisruptionTarget');
        assert.equal(disruption?.status, 'True');
        assert.equal(disruption?.reason, 'TerminationByKubelet');
        assert.equal(disruption?.message, evicted?.status?.message);
        // The ended Pod's image was nobody's any more.
        assert.deepEqual(await images(), [`${registry.host}/used:1`]);
        assert.equal((await system.pod('modest'))?.status?.phase, 'Running');
        const said = (await system.events('greedy')).map(({ line }) => line.split(' ').slice(0, 2).join(' '));
        assert.ok(said.includes('Warning Evicted'), said.join());
        assert.ok(said.includes('Normal Killing'), said.join());

        await system.createPod('late', { nodeName: NODE, containers: [{ name: 'a', image: 'i' }] });
        const late = await system.until('late', 'refused', (pod) => pod?.status?.phase === 'Failed');
        assert.equal(late?.status?.message, 'Pod was rejected: The node had condition: [DiskPressure]. ');
        assert.equal(
          late?.status?.conditions?.some(({ type }) => type === 'DisruptionTarget'),
          false,
        );

        await condition(system, clock, 'False');
        const node = (await system.events(NODE)).map(({ line }) => line);
        for (const line of [
          'Warning EvictionThresholdMet Attempting to reclaim ephemeral-storage',
          `Normal NodeHasDiskPressure Node ${NODE} status is now: NodeHasDiskPressure`,
          `Normal NodeHasNoDiskPressure Node ${NODE} status is now: NodeHasNoDiskPressure`,
        ])
          assert.ok(node.includes(line), `${line} is missing in ${node.join('\n')}`);
        assert.equal((await system.pod('modest'))?.status?.phase, 'Running');
      },
    );
  } finally {
    await disk.unmount();
  }
});

/** Fills the disk with one file until only so much is left. */
async function fillUpTo(path: string, left: number): Promise<void> {
  const { bavail, bsize } = await statfs(path);
  await writeFile(join(path, 'filler'), Buffer.alloc(Math.max(0, bavail * bsize - left), 1), { flush: true });
}

/** Lets rounds pass until the Node's disk condition is so. */
async function condition(system: NodeSystem, clock: ManualClock, status: string): Promise<void> {
  await rounds(system, clock, `DiskPressure is ${status}`, async () => {
    const node = await system.client.get<NodeObject>(NODES, { name: NODE }, system.signal);
    return node.status?.conditions?.find(({ type }) => type === 'DiskPressure')?.status === status;
  });
}

async function rounds(
  system: NodeSystem,
  clock: ManualClock,
  what: string,
  holds: () => Promise<boolean>,
): Promise<void> {
  for (let round = 0; round < 30; round++) {
    // What a round sets off takes real time: files are removed, processes end.
    for (let looks = 0; looks < 20; looks++) {
      if (await holds()) return;
      await new Promise<void>((resolve) => setTimeout(resolve, 25));
    }
    await clock.advance(ROUND_MS);
  }
  throw new Error(
    `never: ${what}: ${JSON.stringify(await system.events(NODE))} ${system.warnings.join('; ')}`,
  );
}
