import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { Agent, get, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { serveRegistry, sha256 } from '../support/serve-registry.ts';

const DRAY = fileURLToPath(new URL('../../bin/dray.js', import.meta.url));
const WITHOUT_PROC = existsSync('/proc/self/status') ? false : 'needs /proc, as Linux has it';
/** Resident bytes that an idle registry may have: what its issue asks for. */
const IDLE_LIMIT = 90e6;
const DOWNLOADS = 64;
const BLOB_BYTES = 48 * 1024 * 1024;
/** What the downloads may add to an idle registry: far more than their buffers, far less than one blob for each. */
const DOWNLOADS_LIMIT = 100e6;

interface Serving {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Serves a registry in a process of its own, open to everybody. */
async function serveAlone(directory: string, flags: readonly string[] = []): Promise<Serving> {
  const config = join(directory, 'config.yaml');
  await writeFile(
    config,
    `directory: ${join(directory, 'data')}\nlisten: {host: 127.0.0.1, port: 0}\nauth: none\n`,
  );
  return serve(directory, [...flags, DRAY, 'registry', 'serve', '--config', config, '--log-level', 'error']);
}

async function serve(directory: string, args: readonly string[]): Promise<Serving> {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_COMPILE_CACHE: join(directory, 'compiled') },
  });
  const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return {
    url,
    pid: child.pid ?? 0,
    stop: async () => {
      if (child.exitCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    },
  };
}

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'dray-memory-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

function memoryOf(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(text)?.[1]) * 1024;
}

test('an idle registry stays below its limit of memory', { skip: WITHOUT_PROC }, async (t) => {
  const directory = await temporaryDirectory(t);
  // The first start turns sources into JavaScript, which a published package does not have to.
  const args = [DRAY, 'registry', 'serve', '--directory', join(directory, 'data'), '--port', '0'];
  await (await serve(directory, args)).stop();
  const served = await serve(directory, args);
  t.after(() => served.stop());
  assert.equal((await fetch(`${served.url}/readyz`)).status, 200);
  const resident = memoryOf(served.pid, 'VmRSS');
  assert.ok(resident < IDLE_LIMIT, `${(resident / 1e6).toFixed(0)} MB`);
});

test('a registry that serves has not loaded what it does not need for that', async (t) => {
  const directory = await temporaryDirectory(t);
  const loaded = join(directory, 'loaded');
  const hook = `import { registerHooks } from 'node:module';
    import { appendFileSync } from 'node:fs';
    registerHooks({ load(url, context, next) { appendFileSync(${JSON.stringify(loaded)}, url + '\\n'); return next(url, context); } });`;
  const served = await serveAlone(directory, [
    '--import',
    `data:text/javascript,${encodeURIComponent(hook)}`,
  ]);
  t.after(() => served.stop());
  assert.equal((await fetch(`${served.url}/v2/`)).status, 200);
  const names = readFileSync(loaded, 'utf8').split('\n');
  const packages = new Set(
    names.flatMap((name) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(name)?.[1] ?? []),
  );
  for (const name of ['undici', 'jose', 'bcryptjs', '@peculiar/x509']) {
    assert.ok(!packages.has(name), name);
  }
  // An import of it loads all that it offers, among it an HTTP client, for 12 MB.
  assert.ok(!names.includes('node:http'), 'node:http was imported');
});

test(
  'many slow downloads at once hold little memory, and a quick one beside them is whole',
  {
    skip: WITHOUT_PROC,
  },
  async (t) => {
    const served = await serveAlone(await temporaryDirectory(t));
    t.after(() => served.stop());
    const content = Buffer.alloc(BLOB_BYTES, 'what a layer holds ');
    const digest = sha256(content);
    const pushed = await fetch(`${served.url}/v2/a/blobs/uploads/?digest=${digest}`, {
      method: 'POST',
      body: content,
    });
    assert.equal(pushed.status, 201);
    const path = `${served.url}/v2/a/blobs/${digest}`;
    const agent = new Agent({ maxSockets: Infinity });
    t.after(() => agent.destroy());
    // The kernel counts the most memory anew: the push is not what is looked at here.
    writeFileSync(`/proc/${served.pid}/clear_refs`, '5');
    const before = memoryOf(served.pid, 'VmRSS');
    const slow = await Promise.all(Array.from({ length: DOWNLOADS }, () => begin(path, agent)));
    const quick = await begin(path, agent);
    const hash = createHash('sha256');
    for await (const chunk of quick) hash.update(chunk as Buffer);
    assert.equal(`sha256:${hash.digest('hex')}`, digest);
    const added = memoryOf(served.pid, 'VmHWM') - before;
    assert.ok(added < DOWNLOADS_LIMIT, `${(added / 1e6).toFixed(0)} MB`);
    for (const message of slow) message.destroy();
  },
);

/** Begins a download and reads nothing of its body yet. */
async function begin(url: string, agent: Agent): Promise<IncomingMessage> {
  const [message] = (await once(get(url, { agent }), 'response')) as [IncomingMessage];
  assert.equal(message.statusCode, 200);
  return message;
}

test('a small blob is stored at one go: no ingest is made for it', async (t) => {
  const served = await serveRegistry(t);
  const ingests = join(served.directory, 'content', 'ingest');
  const before = (await stat(ingests)).mtimeMs;
  for (const size of [0, 1, 4096, 64 * 1024]) {
    const content = Buffer.alloc(size, 'x');
    const location = (await served.send('POST', '/v2/a/blobs/uploads/')).headers.get('location') ?? '';
    const put = await served.send('PUT', `${location}?digest=${sha256(content)}`, { body: content });
    assert.equal(put.status, 201);
    const got = await served.send('GET', `/v2/a/blobs/${sha256(content)}`);
    assert.equal(sha256(new Uint8Array(await got.arrayBuffer())), sha256(content));
  }
  assert.equal((await stat(ingests)).mtimeMs, before);
});
