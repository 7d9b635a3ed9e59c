import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { connectStores } from '../../src/daemon/stores/connect-stores.ts';
import type { Digest } from '../../src/oci/digest.ts';
import type { PullProgress } from '../../src/pull/progress.ts';
import { createHostResolver } from '../../src/remote/hosts/create-host-resolver.ts';
import { createRemoteClient } from '../../src/remote/remote-client.ts';
import { FaultRegistry } from '../support/fault-registry.ts';
import { imageMachine, type ImageMachine } from '../support/image-machine.ts';
import { layerOf } from '../support/pull-node.ts';
import { runDray } from '../support/run-dray.ts';

/*
 * Commands on a root that another process holds: what must not cross to the holder, and what happens when one of the two goes.
 */

const DRAY = fileURLToPath(new URL('../../bin/dray.js', import.meta.url));
const FOREVER = Number.POSITIVE_INFINITY;

/** Starts a pull that stalls in its layer, and waits until it does. */
async function stalledPull(t: TestContext, machine: ImageMachine) {
  const { registry, root, directory, env } = machine;
  const { layers } = registry.putImage('slow', 'v1', [layerOf('slow', 6_000_000)]);
  const path = new RegExp(`slow/blobs/${layers[0]?.digest}`);
  registry.fault('GET', path, { kind: 'stall', afterBytes: 5_000_000 }, FOREVER);
  const asked = registry.nextRequest('GET', path);
  const child = spawn(process.execPath, [DRAY, 'pull', `${registry.host}/slow:v1`, '--root', root], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: directory,
    env: { ...process.env, ...env },
  });
  t.after(() => child.kill('SIGKILL'));
  const said: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk));
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
  await asked;
  return { child, ended, said: () => Buffer.concat(said).toString() };
}

test('the login of whoever asks is used, and what fails is told as if it had failed here', async (t) => {
  const users = { u: 'hunter2' };
  const locked = await FaultRegistry.start({ auth: { kind: 'bearer', users, postStatus: 200 } });
  t.after(() => locked.close());
  locked.putImage('private', 'v1', [layerOf('base')]);
  const reference = `${locked.host}/private:v1`;
  const [direct, held] = [await imageMachine(t), await imageMachine(t, { held: true })];
  const refused = await direct.dray('pull', reference);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /dray: a login that may do this is needed: dray login/);
  assert.deepEqual(await held.dray('pull', reference), refused);

  const authfile = join(held.directory, 'auth.json');
  const auth = Buffer.from('u:hunter2').toString('base64');
  await writeFile(authfile, JSON.stringify({ auths: { [locked.host]: { auth } } }));
  await held.must('pull', '-q', '--authfile', authfile, reference);
  assert.equal(await held.must('images', '-o', 'name'), `${reference}\n`);
  const story = await held.must('pulls', '-o', 'json');
  assert.doesNotMatch(story, /hunter2/);
  assert.match(story, /auth\.json/);
});

test('a pull whose client is interrupted ends with it, and keeps what it has for the next', async (t) => {
  const machine = await imageMachine(t, { held: true });
  const { holder, registry } = machine;
  const over = new Promise<void>((resolve) => {
    holder?.puller.board.watch(({ kind, phase }) => {
      if (kind === 'image' && phase === 'failed') resolve();
    });
  });
  const { child, ended } = await stalledPull(t, machine);
  const kept = async (): Promise<number> => (await holder?.content.ingests())?.[0]?.offset ?? 0;
  while ((await kept()) === 0) await new Promise((resolve) => setImmediate(resolve));
  child.kill('SIGINT');
  assert.equal((await ended)[0], 1);
  await over;
  assert.deepEqual(holder?.puller.board.now(), []);
  assert.ok((await kept()) > 0);
  registry.requests.length = 0;
  registry.clearFaults();
  await machine.must('pull', '-q', `${registry.host}/slow:v1`);
  assert.match(
    registry.requests.find(({ headers }) => headers.range !== undefined)?.headers.range ?? '',
    /bytes=[1-9]/,
  );
});

test('a client that is killed leaves neither leases nor half a blob to be seen', async (t) => {
  const { root, holder, env } = await imageMachine(t, { held: true });
  const script = `
    const { connectStores } = await import(${JSON.stringify(new URL('../../src/daemon/stores/connect-stores.ts', import.meta.url).href)});
    const stores = await connectStores(${JSON.stringify(root)}, undefined, { hostRoots: [], insecureRegistries: [], proxies: {} });
    const lease = await stores.images.lease('a test');
    await lease.add('sha256:${'a'.repeat(64)}');
    const ingest = await stores.content.openIngest('half');
    await ingest.write(Buffer.alloc(3_000_000, 'x'));
    console.log('ready');
    setInterval(() => {}, 1000);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  const leased = `sha256:${'a'.repeat(64)}` as Digest;
  assert.equal((await holder?.images.roots())?.has(leased), true);
  await assert.rejects(async () => holder?.content.openIngest('half'), { code: 'LOCKED' });
  child.kill('SIGKILL');
  const again = await holder?.content.openIngest('half', { wait: AbortSignal.timeout(10_000) });
  assert.ok((again?.offset ?? 0) >= 2_000_000);
  await again?.abort();
  assert.equal((await holder?.images.roots())?.has(leased), false);
});

test('while one command pulls, others use the store through it; it waits for them, and an interrupted one does not', async (t) => {
  const machine = await imageMachine(t);
  const { image, must, registry } = machine;
  const { child, ended, said } = await stalledPull(t, machine);
  await must('pull', '-q', image);
  assert.equal(await must('images', '-o', 'name'), `${image}\n`);
  assert.equal(await must('tag', image, 'mine:v1'), 'docker.io/library/mine:v1\n');
  const watching = spawn(process.execPath, [DRAY, 'pulls', '--watch', '-o', 'json', '--root', machine.root], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => watching.kill('SIGKILL'));
  const [line] = (await once(watching.stdout, 'data')) as [Buffer];
  const shown = JSON.parse(line.toString().split('\n')[0] ?? '') as PullProgress;
  assert.equal(shown.image, `${registry.host}/slow:v1`);
  const watched = once(watching, 'exit') as Promise<[number]>;
  child.kill('SIGINT');
  assert.equal((await ended)[0], 1, said());
  // Nobody is left who could pull.
  assert.equal((await watched)[0], 0);
});

test('a holder that ends takes the pulls of others along, and they say so', async (t) => {
  const machine = await imageMachine(t);
  const { child, ended } = await stalledPull(t, machine);
  const second = runDray(['pull', `${machine.registry.host}/slow:v1`, '--root', machine.root], {
    env: machine.env,
  });
  await machine.registry.nextRequest('HEAD', /slow\/manifests/);
  child.kill('SIGKILL');
  await ended;
  const { code, stderr } = await second;
  assert.equal(code, 1);
  assert.match(stderr, /the process that held the root and worked for this one has ended/);
});

test('the socket is its owner’s alone, goes with the holder, and works below any path', async (t) => {
  const { root } = await imageMachine(t, { held: true });
  const socket = await stat(join(root, 'stores.sock'));
  assert.deepEqual([socket.isSocket(), socket.mode & 0o777], [true, 0o600]);
  const machine = await imageMachine(t);
  const long = join(machine.root, 'a'.repeat(120));
  const { child } = await stalledPull(t, { ...machine, root: long });
  const { code, stdout, stderr } = await runDray(['images', '-o', 'json', '--root', long], {
    env: machine.env,
  });
  assert.deepEqual([code, stdout], [0, '[]\n'], stderr);
  child.kill('SIGKILL');
});

test('questions that make no sense are refused and harm nobody', async (t) => {
  const { root, must, image } = await imageMachine(t, { held: true });
  const remote = createRemoteClient({ hosts: createHostResolver({ roots: [] }), environment: {} });
  t.after(() => remote.close());
  const reach = { hostRoots: [], insecureRegistries: [], proxies: {} };
  const stores = await connectStores(root, remote, reach);
  assert.ok(stores !== undefined);
  const absent = `sha256:${'0'.repeat(64)}` as Digest;
  await assert.rejects(stores.content.stat(absent), { name: 'ContentError', code: 'NOT_FOUND' });
  await assert.rejects(stores.content.open(absent), { name: 'ContentError', code: 'NOT_FOUND' });
  const ingest = await stores.content.openIngest('wrong');
  await ingest.write(Buffer.from('some bytes'));
  await assert.rejects(ingest.commit({ digest: absent }), { name: 'ContentError', code: 'DIGEST_MISMATCH' });
  await assert.rejects(
    stores.pull({ reference: 'registry.example/UPPER', signal: AbortSignal.timeout(5_000) }),
    {
      name: 'PullError',
      code: 'INVALID_REFERENCE',
    },
  );
  await stores.close();
  await assert.rejects(stores.images.list(), { code: 'HOLDER_GONE' });
  await must('pull', '-q', image);
});
