import { randomUUID } from 'node:crypto';
import { chmod, constants, copyFile, link, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isSystemError } from '../base/coded-error.ts';
import { lockedError } from './_ref-locks.ts';

/*
 * An ingest that several processes may take up has a data file that is exchanged for a copy whenever it is: a process that
 * had it before goes on writing to a file that nobody looks at, and finds out when it looks or commits.
 */

/** Gives the bytes of an earlier holder a file of their own, if there are any. */
export async function detachData(path: string): Promise<void> {
  const fresh = `${path}.${randomUUID()}`;
  try {
    await copyFile(path, fresh, constants.COPYFILE_FICLONE);
    await chmod(fresh, 0o600);
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true });
    if (!isSystemError(error, 'ENOENT')) throw error;
  }
}

/**
 * Links the data file under a name that no other process knows, makes sure that it is the one that was written here, and
 * returns its name in the ingest's directory.
 *
 * @throws ContentError `LOCKED` when another process has taken the ingest
 */
export async function linkOwnData(
  ref: string,
  path: string,
  own: { inode: number; size: number },
): Promise<string> {
  const name = `own.${randomUUID()}`;
  const linked = `${dirname(path)}/${name}`;
  try {
    await link(path, linked);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) throw lockedError(ref);
    throw error;
  }
  const { ino, size } = await stat(linked);
  if (ino === own.inode && size === own.size) return name;
  await rm(linked, { force: true });
  throw lockedError(ref);
}
