import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { FaultRegistry } from '../support/fault-registry.ts';
import { layerOf, pullNode } from '../support/pull-node.ts';
import { serveRegistry } from '../support/serve-registry.ts';
import { findTool, skipWithout } from '../support/tools.ts';
import { pushImage } from '../../src/pull/push-image.ts';
import type { Digest } from '../../src/oci/digest.ts';

/*
 * The registry client against registries that are not its own fake: this program's, and Debian's docker-registry.
 */

const signal = AbortSignal.timeout(120_000);
const LAYERS = [layerOf('base', 400_000), layerOf('top', 5_000)];

/** Starts Debian's registry on a free port. */
async function dockerRegistry(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'dray-distribution-'));
  const port = await freePort();
  const config = join(directory, 'config.yml');
  await writeFile(
    config,
    `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${directory}/data}, delete: {enabled: true}}\nhttp: {addr: "127.0.0.1:${port}"}\n`,
  );
  const child = spawn(findTool('docker-registry') ?? 'docker-registry', ['serve', config], {
    stdio: 'ignore',
    env: { PATH: process.env['PATH'] ?? '', OTEL_TRACES_EXPORTER: 'none' },
  });
  t.after(async () => {
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    await rm(directory, { recursive: true, force: true });
  });
  const host = `127.0.0.1:${port}`;
  for (let tries = 0; tries < 100; tries++) {
    try {
      const answer = await fetch(`http://${host}/v2/`);
      if (answer.ok) return host;
    } catch {
      // Not listening yet: a foreign program tells nobody when it does.
      await delay(50);
    }
  }
  throw new Error('docker-registry did not start');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const REGISTRIES: readonly {
  name: string;
  skip: string | false;
  start: (t: TestContext) => Promise<string>;
}[] = [
  { name: "this program's registry", skip: false, start: async (t) => (await serveRegistry(t)).host },
  { name: "Debian's docker-registry", skip: skipWithout('docker-registry'), start: dockerRegistry },
];

for (const { name, skip, start } of REGISTRIES) {
  test(`an image goes into ${name} and comes out of it unpacked on another node`, { skip }, async (t) => {
    const source = await FaultRegistry.start();
    t.after(() => source.close());
    const image = source.putImage('app', undefined, LAYERS);
    source.putIndex('app', 'v1', [image.manifest]);
    const first = await pullNode(t);
    const { target } = await first.puller.pull({ reference: `${source.host}/app:v1`, signal });

    const host = await start(t);
    const reference = `${host}/team/app:v1`;
    await pushImage({ remote: first.remote, content: first.content, reference, target, signal });
    await pushImage({ remote: first.remote, content: first.content, reference, target, signal });

    const second = await pullNode(t, { unpacks: true });
    const pulled = await second.puller.pull({ reference, signal });
    assert.equal(pulled.imageId, image.config.digest);
    assert.equal(pulled.target.digest, target.digest);
    for (const { diffId } of LAYERS)
      assert.equal(await second.layerStore?.isUnpacked(diffId as Digest), true);

    const again = await second.puller.pull({ reference, signal });
    assert.equal(again.fetchedBytes, 0);
    const record = await second.records.read(again.flightId);
    assert.deepEqual(
      record?.hops.map((hop) => hop.method),
      ['HEAD'],
    );
  });

  test(`a tag that ${name} does not have is not found`, { skip }, async (t) => {
    const host = await start(t);
    const node = await pullNode(t);
    await assert.rejects(node.puller.pull({ reference: `${host}/team/app:v9`, signal }), {
      code: 'NOT_FOUND',
      description: `failed to pull and unpack image "${host}/team/app:v9": failed to resolve reference "${host}/team/app:v9": ${host}/team/app:v9: not found`,
    });
  });
}
