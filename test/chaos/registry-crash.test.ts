import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { serveRegistry, manifestOf, OCI_MANIFEST, sha256 } from '../support/serve-registry.ts';

/** Rounds of work and `kill -9`; `CHAOS_ROUNDS` asks for more. */
const ROUNDS = Number(process.env['CHAOS_ROUNDS'] ?? 6);
const CLIENTS = 6;
const signal = new AbortController().signal;

const PROGRAM = (directory: string, module: string): string => `
import { createRegistry } from ${JSON.stringify(module)};
const registry = await createRegistry({
  directory: ${JSON.stringify(directory)}, auth: 'none', maintenance: { everyMs: 5, delayMs: 60_000, uploadAgeMs: 60_000 },
});
process.stdout.write(registry.url + '\\n');
`;

test('after kill -9 at any moment every tag that was confirmed resolves and everything it needs verifies', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'dray-crash-'));
  const program = join(directory, 'serve.ts');
  const module = new URL('../../src/registry/registry.ts', import.meta.url).href;
  const data = join(directory, 'registry');
  await writeFile(program, PROGRAM(data, module));
  t.after(() => rm(directory, { recursive: true, force: true }));
  /** Tags that the registry said it has, and what they point at; undefined once a deletion was asked for. */
  const confirmed = new Map<string, string | undefined>();

  for (let round = 0; round < ROUNDS; round++) {
    const { child, url } = await start(program);
    const state = { running: true };
    const clients = Array.from({ length: CLIENTS }, (_, place) =>
      client(url, `r${round}c${place}`, state, confirmed),
    );
    await waitForConfirmed(confirmed, confirmed.size + randomInt(5, 25));
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    state.running = false;
    await Promise.all(clients);
  }

  const served = await serveRegistry(t, { directory: data });
  const report = await served.registry.maintenance.scrub(signal);
  assert.deepEqual(report.damaged, []);
  let checked = 0;
  for (const [tag, digest] of confirmed) {
    if (digest === undefined) continue;
    const got = await served.send('GET', `/v2/work/manifests/${tag}`);
    assert.equal(got.status, 200, `tag ${tag}`);
    const body = await got.text();
    assert.equal(sha256(body), digest);
    const manifest = JSON.parse(body) as { config: { digest: string }; layers: { digest: string }[] };
    for (const blob of [manifest.config, ...manifest.layers]) {
      const bytes = await (await served.send('GET', `/v2/work/blobs/${blob.digest}`)).arrayBuffer();
      assert.equal(sha256(new Uint8Array(bytes)), blob.digest);
    }
    checked++;
  }
  assert.ok(checked > ROUNDS, `checked ${checked}`);
});

async function start(program: string): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout ?? child, 'data')) as [Buffer];
  return { child, url: line.toString().trim() };
}

/** Pushes, mounts and deletes until the registry is gone. */
async function client(
  url: string,
  name: string,
  state: { running: boolean },
  confirmed: Map<string, string | undefined>,
): Promise<void> {
  const config = '{"architecture":"amd64","os":"linux"}';
  for (let turn = 0; state.running; turn++) {
    try {
      const layers = [`shared ${turn % 3}`, randomBytes(randomInt(1, 200_000)).toString('base64')];
      for (const content of [config, ...layers]) {
        const begun = await fetch(`${url}/v2/work/blobs/uploads/`, { method: 'POST' });
        const location = url + (begun.headers.get('location') ?? '');
        await fetch(location, { method: 'PATCH', body: content.slice(0, content.length / 2) });
        const rest = content.slice(content.length / 2);
        await fetch(`${location}?digest=${sha256(content)}`, { method: 'PUT', body: rest });
      }
      await fetch(`${url}/v2/other/blobs/uploads/?mount=${sha256(config)}&from=work`, { method: 'POST' });
      const body = JSON.stringify({
        ...manifestOf(config, layers),
        annotations: { name, turn: String(turn) },
      });
      const tag = `${name}-${turn}`;
      const headers = { 'content-type': OCI_MANIFEST };
      const put = await fetch(`${url}/v2/work/manifests/${tag}`, { method: 'PUT', body, headers });
      if (put.status === 201) confirmed.set(tag, sha256(body));
      if (turn % 4 === 3) {
        confirmed.set(tag, undefined);
        await fetch(`${url}/v2/work/manifests/${sha256(body)}`, { method: 'DELETE' });
      }
    } catch (error) {
      // The registry was killed under the request: what it had not confirmed counts for nothing.
      if (!(error instanceof TypeError)) throw error;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

async function waitForConfirmed(confirmed: ReadonlyMap<string, unknown>, count: number): Promise<void> {
  while (confirmed.size < count) await new Promise((resolve) => setImmediate(resolve));
}
