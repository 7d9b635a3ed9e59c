import { randomUUID } from 'node:crypto';
import { chmod, constants, copyFile, link, open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isSystemError } from '../base/coded-error.ts';
import { lockedError } from './_ref-locks.ts';

/*
 * An ingest that several processes may take up has a data file that is exchanged for a copy whenever it is: a process that
 * had it before goes on writing to a file that nobody looks at, and finds out when it looks or commits.
 */

/** Opens a file that nobody else has open, with the bytes of an earlier holder if there are any, and puts it in place. */
export async function openOwnData(path: string): Promise<FileHandle> {
  const fresh = `${path}.${randomUUID()}`;
  try {
    await copyIfThere(path, fresh);
    const file = await open(fresh, 'a+', 0o600);
    try {
      await rename(fresh, path);
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
}

async function copyIfThere(from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE);
    // A holder that died in the middle of a commit had made it read-only.
    await chmod(to, 0o600);
  } catch (error) {
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
