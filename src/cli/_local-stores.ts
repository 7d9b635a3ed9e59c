import { setTimeout as delay } from 'node:timers/promises';
import { openNodeStores, type TransferLimits } from '../daemon/node-stores.ts';
import { defaultRootPath, openStateRoot, StateRootError, type StateRoot } from '../daemon/state-root.ts';
import { connectStores } from '../daemon/stores/connect-stores.ts';
import { ownImageStores, type ImageStores } from '../daemon/stores/image-stores.ts';
import { serveStores } from '../daemon/stores/serve-stores.ts';
import { silentLogger } from '../observe/logger.ts';
import { hostRoots, openRemote, type RemoteOptions } from './_client-remote.ts';

/** How long one command waits for another that holds the root and does not serve it, in milliseconds: most take a second. */
const WAIT_MS = 3_000;

/** How often it looks again, in milliseconds. */
const LOOK_MS = 50;

/** Variables that say which proxies lead to registries (rule 16.19). */
const PROXY_VARIABLES = [
  'HTTP_PROXY',
  'http_proxy',
  'HTTPS_PROXY',
  'https_proxy',
  'NO_PROXY',
  'no_proxy',
  'REQUEST_METHOD',
] as const;

export interface StoresRequest {
  readonly options: RemoteOptions;
  /** What holds the root meanwhile, for whoever finds it held. */
  readonly command: string;
  /** Whether others may use the stores through this command while it runs: where that can take minutes. */
  readonly serves?: boolean;
  readonly transfers?: TransferLimits;
  readonly signal?: AbortSignal;
}

/**
 * Runs a command's work on the stores of this machine: opened for it, or, where another process holds the root, through that one.
 *
 * @throws StateRootError `HELD` naming who has the root open, when that one lets nobody in and does not end soon
 */
export async function withLocalStores<T>(
  request: StoresRequest,
  use: (stores: ImageStores) => Promise<T>,
): Promise<T> {
  const path = request.options.root ?? defaultRootPath();
  const giveUpAt = performance.now() + WAIT_MS;
  for (;;) {
    let root: StateRoot;
    try {
      root = await openStateRoot(path, request.command);
    } catch (error) {
      if (!(error instanceof StateRootError) || error.code !== 'HELD') throw error;
      const through = await throughHolder(path, request, use);
      if (through !== undefined) return through.result;
      if (performance.now() >= giveUpAt) throw error;
      await delay(LOOK_MS, undefined, request.signal === undefined ? {} : { signal: request.signal });
      continue;
    }
    try {
      return await onOwnStores(root, request, use);
    } finally {
      root.close();
    }
  }
}

/** Runs the work through the process that holds the root; returns undefined when that one serves nobody. */
async function throughHolder<T>(
  path: string,
  { options, transfers }: StoresRequest,
  use: (stores: ImageStores) => Promise<T>,
): Promise<{ readonly result: T } | undefined> {
  const proxies = Object.fromEntries(
    PROXY_VARIABLES.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
  const remote = openRemote(options);
  try {
    const stores = await connectStores(path, remote, {
      hostRoots: hostRoots(options),
      insecureRegistries: options.insecureRegistry ?? [],
      proxies,
      ...(transfers?.bytesPerSecond === undefined ? {} : { bytesPerSecond: transfers.bytesPerSecond }),
    });
    if (stores === undefined) return undefined;
    try {
      return { result: await use(stores) };
    } finally {
      await stores.close();
    }
  } finally {
    await remote.close();
  }
}

async function onOwnStores<T>(
  root: StateRoot,
  { options, serves, transfers, signal = new AbortController().signal }: StoresRequest,
  use: (stores: ImageStores) => Promise<T>,
): Promise<T> {
  const stores = await openNodeStores({
    root: root.path,
    hostRoots: hostRoots(options),
    insecureRegistries: options.insecureRegistry ?? [],
    ...(transfers === undefined ? {} : { transfers }),
    logger: silentLogger,
  });
  try {
    if (serves !== true) return await use(ownImageStores(root.path, stores));
    const server = await serveStores(root.path, stores);
    try {
      return await use(ownImageStores(root.path, stores));
    } finally {
      if (server.sessions > 0 && !signal.aborted)
        process.stderr.write('dray: done here; other commands still use the store through this one\n');
      await server.close(signal);
    }
  } finally {
    await stores.close();
  }
}
