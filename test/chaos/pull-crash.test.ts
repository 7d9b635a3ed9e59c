import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { CollectStep } from '../../src/images/collect.ts';
import { imageMachine, type ImageMachine } from '../support/image-machine.ts';
import { sha256 } from '../support/fault-registry.ts';
import { layerOf } from '../support/pull-node.ts';
import { tarOf, type TarOfEntry } from '../support/tar-of.ts';

/*
 * `kill -9` at random moments of pulls, removals and collections, in one root that is never cleaned in between. The moments are spread
 * over the whole of a command, from its start to behind its end.
 */

/** Processes killed; `PULL_CRASH_ROUNDS` asks for more. */
const ROUNDS = Number(process.env['PULL_CRASH_ROUNDS'] ?? 12);
/** Kills between two looks at everything. */
const CHECK_EVERY = 12;
const DRAY = fileURLToPath(new URL('../../bin/dray.js', import.meta.url));

/** Many small files with all that unpacking has to set. */
function busyLayer(seed: string, files: number) {
  const entries: TarOfEntry[] = [{ path: `${seed}/`, mode: 0o755, mtime: 100 }];
  for (let n = 0; n < files; n++) {
    const path = `${seed}/d${n % 17}/file-${n}`;
    if (n < 17) entries.push({ path: `${seed}/d${n}/`, mode: 0o750, mtime: 7 });
    entries.push({ path, content: `${seed} ${n}`.repeat(1 + (n % 40)), mode: 0o640, mtime: n });
    if (n % 10 === 0) entries.push({ type: 'link', path: `${seed}/hard-${n}`, linkPath: path });
    if (n % 11 === 0) entries.push({ type: 'symlink', path: `${seed}/soft-${n}`, linkPath: `d${n % 17}` });
  }
  return tarOf(...entries);
}

/** Three images that share layers, of large and of small files, in both compressions. */
function putImages({ registry }: ImageMachine): string[] {
  const gzip = (tar: Buffer) => ({ bytes: gzipSync(tar, { level: 1 }), diffId: sha256(tar) });
  const zstd = (tar: Buffer) => ({
    bytes: zstdCompressSync(tar),
    diffId: sha256(tar),
    mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd',
  });
  const shared = [layerOf('shared', 9_000_000), gzip(busyLayer('base', 800))];
  const images = [
    [...shared, gzip(busyLayer('one', 500)), layerOf('one', 3_000_000)],
    [...shared, zstd(busyLayer('two', 900))],
    [zstd(busyLayer('three', 300)), layerOf('three', 12_000_000), layerOf('small', 3_000)],
  ];
  return images.map((layers, index) => {
    registry.putImage(`app${index}`, 'v1', layers);
    return `${registry.host}/app${index}:v1`;
  });
}

/** Runs a command and kills it after a while, if it has not ended by then. Returns whether it was killed. */
async function runAndKill(machine: ImageMachine, args: readonly string[], afterMs: number): Promise<boolean> {
  const child = spawn(process.execPath, [DRAY, ...args, '--root', machine.root], {
    stdio: 'ignore',
    cwd: machine.directory,
    env: { ...process.env, ...machine.env },
  });
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const over = new AbortController();
  // The moment is left to the clock: that is what is tried here.
  await Promise.race([exited, delay(afterMs, undefined, { signal: over.signal }).catch(() => undefined)]);
  over.abort();
  child.kill('SIGKILL');
  return (await exited)[1] === 'SIGKILL';
}

/** Everything is pulled, and a check of all content, layers and records finds nothing. */
async function assertWhole(machine: ImageMachine, references: readonly string[]): Promise<number> {
  for (const reference of references) await machine.must('pull', '-q', reference);
  const steps = JSON.parse(await machine.must('gc', '--verify', '-o', 'json')) as CollectStep[];
  for (const { name, damaged, kept } of steps.filter((step) => step.name.startsWith('verify'))) {
    assert.deepEqual(damaged, [], name);
    assert.ok(kept > 0, name);
  }
  assert.deepEqual(
    (await machine.must('images', '-o', 'name')).trim().split('\n').toSorted(),
    references.toSorted(),
  );
  return steps.find(({ name }) => name === 'verify-layers')?.kept ?? 0;
}

async function crashes(t: TestContext): Promise<void> {
  const machine = await imageMachine(t);
  const references = putImages(machine);
  const startedAt = performance.now();
  assert.equal(await assertWhole(machine, references), 8);
  // A pull of everything and a check took so long; each of them about a fifth of it.
  const longest = Math.ceil((performance.now() - startedAt) / 4);
  await machine.must('rmi', '--no-gc', ...references);
  await machine.must('gc');
  let killed = 0;
  for (let round = 1; round <= ROUNDS; round++) {
    const reference = references[randomInt(references.length)] ?? '';
    const commands = [
      ['pull', '-q', reference],
      ['pull', '-q', reference],
      ['pull', '-q', reference],
      ['rmi', reference],
      ['gc'],
    ];
    const args = commands[randomInt(commands.length)] ?? [];
    if (await runAndKill(machine, args, randomInt(40, longest))) killed++;
    if (round % CHECK_EVERY !== 0 && round !== ROUNDS) continue;
    await assertWhole(machine, references);
    // Half of the time from nothing again.
    if (randomInt(2) === 0) await machine.must('rmi', ...references);
  }
  t.diagnostic(`${killed} of ${ROUNDS} processes were killed before they ended`);
  assert.ok(killed > 0);
}

test(
  `after kill -9 at ${ROUNDS} random moments every pull completes and nothing is found wrong`,
  { timeout: 3_600_000 },
  crashes,
);

test('what was fetched before kill -9 is not fetched again', async (t) => {
  const machine = await imageMachine(t);
  const { registry, must } = machine;
  const layer = layerOf('large', 16_000_000);
  const { layers } = registry.putImage('large', 'v1', [layer]);
  const reference = `${registry.host}/large:v1`;
  const path = new RegExp(`blobs/${layers[0]?.digest}`);
  registry.fault('GET', path, { kind: 'stall', afterBytes: 12_000_000 });
  // Slowly enough for progress to be told several times.
  const args = ['pull', '--progress=json', '--max-bandwidth=20M', reference, '--root', machine.root];
  const child = spawn(process.execPath, [DRAY, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...machine.env },
  });
  const exited = once(child, 'exit');
  // Until most of it has come; what is in buffers then is lost with the process.
  for await (const chunk of child.stderr as AsyncIterable<Buffer>) {
    const bytes = [...chunk.toString().matchAll(/"kind":"layer".*?"bytes":(\d+)/g)].map(([, n]) => Number(n));
    if (bytes.some((each) => each > 8_000_000)) break;
  }
  child.kill('SIGKILL');
  await exited;
  registry.requests.length = 0;
  await must('pull', '-q', reference);
  const asked = registry.requests.filter((each) => path.test(each.path)).map((each) => each.headers.range);
  const from = Number(/^bytes=(\d+)-/.exec(asked[0] ?? '')?.[1] ?? 0);
  t.diagnostic(`taken up at byte ${from} of ${layer.bytes.length}`);
  assert.ok(from >= 4_000_000, `asked for ${asked.join()}`);
  const [record] = JSON.parse(await must('pulls', '-o', 'json')) as [{ parts: [{ bytes: number }] }];
  assert.equal(record.parts[0].bytes, layer.bytes.length - from);
  await must('gc', '--verify');
});
