import { chmodSync, lstatSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { isSystemError } from '../base/coded-error.ts';
import { fsPath } from './_byte-path.ts';

/** Lists the names in a directory as byte strings. */
export function listNames(path: string): string[] {
  return readdirSync(fsPath(path), { encoding: 'latin1' });
}

/**
 * Removes whatever is at the absolute byte path, never following a link, also from directories that lack write permission.
 * `keep` spares paths (and the directories that lead to them).
 */
export function removeTree(path: string, keep?: (path: string) => boolean): void {
  const facts = lstatSync(fsPath(path), { throwIfNoEntry: false });
  if (facts === undefined || keep?.(path) === true) return;
  if (!facts.isDirectory()) {
    unlinkSync(fsPath(path));
    return;
  }
  let names: string[];
  try {
    names = listNames(path);
    for (const name of names) removeTree(`${path}/${name}`, keep);
  } catch (error) {
    if (!isSystemError(error, 'EACCES')) throw error;
    chmodSync(fsPath(path), 0o700);
    for (const name of listNames(path)) removeTree(`${path}/${name}`, keep);
  }
  try {
    rmdirSync(fsPath(path));
  } catch (error) {
    // Something in it was kept, so it stays as well.
    if (!(keep !== undefined && isSystemError(error, 'ENOTEMPTY'))) throw error;
  }
}
