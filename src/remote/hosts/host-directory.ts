import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError } from '../../base/coded-error.ts';

/** Name of the directory for registries that have none of their own. */
const DEFAULT_DIRECTORY = '_default';

/** Returns the directory names under which a registry is looked up, in order (rule 16.2). */
export function directoryNames(registry: string): string[] {
  const match = /^(.+):(\d+)$/.exec(registry);
  const first = match === null ? [] : [`${match[1]}_${match[2]}_`];
  return [...first, registry, DEFAULT_DIRECTORY];
}

/** Finds a registry's configuration directory: the first root that has any of its names wins (rule 16.2). */
export async function findHostDirectory(
  roots: readonly string[],
  registry: string,
): Promise<string | undefined> {
  // A reference's domain obeys a grammar without slashes; anything else must not become a path.
  if (/[/\\]|^\.{1,2}$|\0/.test(registry)) return undefined;
  for (const root of roots) {
    for (const name of directoryNames(registry)) {
      const path = join(root, name);
      if (await isDirectory(path)) return path;
    }
  }
  return undefined;
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ENOTDIR')) return false;
    throw error;
  }
}
