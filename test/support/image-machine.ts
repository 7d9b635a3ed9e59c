import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openNodeStores, type NodeStores, type TransferLimits } from '../../src/daemon/node-stores.ts';
import { openStateRoot } from '../../src/daemon/state-root.ts';
import { serveStores } from '../../src/daemon/stores/serve-stores.ts';
import { silentLogger } from '../../src/observe/logger.ts';
import { hostPlatform } from '../../src/oci/host-platform.ts';
import { FaultRegistry } from './fault-registry.ts';
import { layerOf } from './pull-node.ts';
import { runDray, type Outcome } from './run-dray.ts';

export const { os, architecture } = hostPlatform();
const LAYERS = [layerOf('base', 200_000), layerOf('top', 3_000)];
const OTHER = { os: 'linux', architecture: 's390x' };

/** A registry with an image, and a root into which commands pull it. */
export interface ImageMachine {
  readonly registry: FaultRegistry;
  /** For files of the test; removed with the root, which lies in it. */
  readonly directory: string;
  readonly root: string;
  /** Variables of every command. */
  readonly env: NodeJS.ProcessEnv;
  /** Index `app:v1` for this machine's platform and another. */
  readonly image: string;
  readonly imageId: string;
  /** The stores, when this process holds the root. */
  readonly holder: NodeStores | undefined;
  /** Runs a command with this machine's root. */
  dray(...args: readonly string[]): Promise<Outcome>;
  /** As `dray`, and returns its output when it went well. */
  must(...args: readonly string[]): Promise<string>;
}

/** Makes one. `held`: the test's own process holds the root and serves it, as `dray up` does. */
export async function imageMachine(
  t: TestContext,
  options: { readonly held?: boolean; readonly transfers?: TransferLimits } = {},
): Promise<ImageMachine> {
  const registry = await FaultRegistry.start();
  const directory = await mkdtemp(join(tmpdir(), 'dray-cli-'));
  t.after(async () => {
    await registry.close();
    await rm(directory, { recursive: true, force: true });
  });
  const own = registry.putImage('app', undefined, LAYERS, { os, architecture });
  const other = registry.putImage('app', undefined, [layerOf('other', 9_000)], OTHER);
  registry.putIndex('app', 'v1', [own.manifest, other.manifest]);
  const root = join(directory, 'root');
  const holder = options.held === true ? await hold(t, root, options.transfers) : undefined;
  const env = { HOME: directory, XDG_RUNTIME_DIR: directory, DOCKER_CONFIG: directory };
  const dray: ImageMachine['dray'] = (...args) => runDray([...args, '--root', root], { cwd: directory, env });
  return {
    registry,
    directory,
    root,
    env,
    image: `${registry.host}/app:v1`,
    imageId: own.config.digest,
    holder,
    dray,
    must: async (...args) => {
      const outcome = await dray(...args);
      assert.equal(outcome.code, 0, outcome.stderr);
      return outcome.stdout;
    },
  };
}

async function hold(t: TestContext, path: string, transfers: TransferLimits = {}): Promise<NodeStores> {
  const root = await openStateRoot(path, 'a test');
  const stores = await openNodeStores({ root: path, transfers, logger: silentLogger });
  const server = await serveStores(path, stores);
  t.after(async () => {
    await server.close(AbortSignal.abort());
    await stores.close();
    root.close();
  });
  return stores;
}
