import { existsSync } from 'node:fs';
import { copyFile, link, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { syncDirectory } from '../base/atomic-file.ts';
import { CodedError, messageOf } from '../base/coded-error.ts';
import { StoreDatabase } from './_store-database.ts';
import { ObjectStore } from './object-store.ts';

export type BackupErrorCode = 'EXISTS' | 'ABSENT' | 'DAMAGED';

/** Why objects were not copied away or back; nothing was changed then. */
export class BackupError extends CodedError<BackupErrorCode> {}

/**
 * How far resource versions jump when objects come back. Numbers handed out after the backup was made must never be
 * handed out again for other states, and nobody knows how many they were when the database itself is lost.
 */
const RESTORE_JUMP = 1_000_000;

/** What is in a backup, for people to recognise it by. */
export interface BackupReport {
  readonly objects: number;
  /** Resource version of the newest change in it. */
  readonly revision: number;
}

/**
 * Writes a consistent copy of the database at `databasePath` to a new file, also while a server uses it.
 *
 * @throws BackupError `ABSENT`, `EXISTS`
 */
export async function backupDatabase(databasePath: string, target: string): Promise<BackupReport> {
  if (!existsSync(databasePath)) {
    throw new BackupError('ABSENT', `Cannot back up "${databasePath}": there is no such database yet`);
  }
  if (existsSync(target)) throw new BackupError('EXISTS', `Cannot back up to "${target}": the file exists`);
  const directory = dirname(target);
  if (!existsSync(directory)) {
    throw new BackupError('ABSENT', `Cannot back up to "${target}": there is no directory "${directory}"`);
  }
  const temporary = `${target}.tmp`;
  try {
    const database = new DatabaseSync(databasePath, { readOnly: true });
    try {
      database.prepare('VACUUM INTO ?').run(temporary);
    } finally {
      database.close();
    }
    const report = await check(temporary);
    await rename(temporary, target);
    await syncDirectory(directory);
    return report;
  } finally {
    await rm(temporary, { force: true });
  }
}

/**
 * Puts a backup in the place of the database; nobody may have it open. What was there before stays beside it as
 * `….before-restore`. Resource versions jump ahead and history begins anew, so that every watcher lists again.
 *
 * @throws BackupError `ABSENT`, `DAMAGED`
 */
export async function restoreDatabase(source: string, databasePath: string): Promise<BackupReport> {
  if (!existsSync(source))
    throw new BackupError('ABSENT', `Cannot restore from "${source}": there is no such file`);
  const temporary = `${databasePath}.restore`;
  try {
    await copyFile(source, temporary);
    const report = await check(temporary);
    const held = existsSync(databasePath) ? revisionOf(databasePath) : 0;
    advance(temporary, Math.max(held, report.revision) + RESTORE_JUMP);
    await sync(temporary);
    const before = `${databasePath}.before-restore`;
    if (existsSync(databasePath)) {
      await rm(before, { force: true });
      await link(databasePath, before);
    }
    // One rename: whoever starts next finds the old objects or the new ones.
    await rename(temporary, databasePath);
    await syncDirectory(dirname(databasePath));
    return report;
  } finally {
    for (const end of ['', '-wal', '-shm']) await rm(`${temporary}${end}`, { force: true });
  }
}

/** @throws BackupError `DAMAGED` when the file is not a whole database of objects */
async function check(path: string): Promise<BackupReport> {
  await sync(path);
  try {
    const database = new DatabaseSync(path, { readOnly: true });
    try {
      const verdict = Object.values(database.prepare('PRAGMA integrity_check').get() ?? {})[0];
      const known = database.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'versions'").get();
      if (verdict !== 'ok' || known?.['n'] !== 1) throw new Error(`integrity check says ${String(verdict)}`);
    } finally {
      database.close();
    }
    const store = new ObjectStore(path);
    try {
      const objects = [...store.counts().values()].reduce((sum, count) => sum + count, 0);
      return { objects, revision: store.revision };
    } finally {
      store.close();
    }
  } catch (error) {
    throw new BackupError('DAMAGED', `Cannot use "${path}" as a backup of the API: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Opening and closing also folds the log of the last writes into the file. */
function revisionOf(path: string): number {
  const store = new ObjectStore(path);
  try {
    return store.revision;
  } finally {
    store.close();
  }
}

function advance(path: string, revision: number): void {
  const database = new StoreDatabase(path);
  try {
    database.transaction(() => {
      database.prepare("UPDATE sqlite_sequence SET seq = ? WHERE name = 'versions'").run(revision);
      database.prepare("UPDATE facts SET value = ? WHERE name = 'compacted'").run(revision);
    });
  } finally {
    database.close();
  }
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
