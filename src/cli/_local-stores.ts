import { openNodeStores, type NodeStores } from '../daemon/node-stores.ts';
import { defaultRootPath, openStateRoot } from '../daemon/state-root.ts';
import { silentLogger } from '../observe/logger.ts';
import { hostRoots, type RemoteOptions } from './_client-remote.ts';

/**
 * Opens the stores of this machine for one command and closes them behind it.
 *
 * @param command what holds the root meanwhile, for whoever finds it held
 * @throws StateRootError `HELD` naming who has the root open
 */
export async function withLocalStores<T>(
  options: RemoteOptions,
  command: string,
  use: (stores: NodeStores, root: string) => Promise<T>,
): Promise<T> {
  const root = await openStateRoot(options.root ?? defaultRootPath(), command);
  try {
    const stores = await openNodeStores({
      root: root.path,
      hostRoots: hostRoots(options),
      insecureRegistries: options.insecureRegistry ?? [],
      logger: silentLogger,
    });
    try {
      return await use(stores, root.path);
    } finally {
      await stores.close();
    }
  } finally {
    root.close();
  }
}
