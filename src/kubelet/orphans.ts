import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError, messageOf } from '../base/coded-error.ts';
import type { Logger } from '../observe/logger.ts';
import type { RuntimeService } from '../runtime/runtime-service.ts';
import type { PodPaths } from './pod-paths.ts';
import { removePodDirectory } from './volumes/volume-manager.ts';
import { recordedGrace } from './pod-killer.ts';
import { CONFIG_SOURCE } from './static-pods/static-pod-marks.ts';

/**
 * Ends and removes what belongs to Pods that nobody knows any more: deleted while the agent was away. Returns their UIDs.
 * Called once the first list of Pods has come, never before.
 */
export async function removeOrphans(
  options: {
    runtime: RuntimeService;
    paths: PodPaths;
    known: (uid: string) => boolean;
    logger: Logger;
    /** Leaves what may belong to Pods of the API, which are not known yet. */
    only?: 'static';
  },
  signal: AbortSignal,
): Promise<string[]> {
  const { runtime, paths, known, logger } = options;
  const orphans = new Set<string>();
  for (const sandbox of await runtime.listPodSandboxes(signal)) {
    const { uid, name, namespace } = sandbox.config;
    if (known(uid)) continue;
    const source = sandbox.config.annotations[CONFIG_SOURCE];
    if (options.only === 'static' && (source === undefined || source === 'api')) continue;
    orphans.add(uid);
    logger.info({ pod: `${namespace}/${name}`, uid }, 'removes what an unknown Pod left');
    const containers = await runtime.listContainers({ sandboxId: sandbox.id }, signal);
    await Promise.all(
      containers.map((status) => runtime.stopContainer(status.id, recordedGrace(status) * 1000, signal)),
    );
    try {
      await runtime.removePodSandbox(sandbox.id, signal);
      await rm(sandbox.config.logDirectory, { recursive: true, force: true });
    } catch (error) {
      signal.throwIfAborted();
      logger.error({ uid, error: messageOf(error) }, 'cannot remove an orphan');
    }
  }
  if (options.only === 'static') return [...orphans];
  for (const uid of await names(paths.pods)) {
    if (known(uid)) continue;
    orphans.add(uid);
    await removePodDirectory(paths, uid);
  }
  for (const name of await names(paths.logs)) {
    const uid = name.slice(name.lastIndexOf('_') + 1);
    if (!known(uid)) await rm(join(paths.logs, name), { recursive: true, force: true });
  }
  return [...orphans];
}

async function names(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw error;
  }
}
