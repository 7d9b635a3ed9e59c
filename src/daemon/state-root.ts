import { constants } from 'node:fs';
import { access, mkdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { writeFileAtomic } from '../base/atomic-file.ts';
import { CodedError, isSystemError, messageOf } from '../base/coded-error.ts';

export type StateRootErrorCode = 'HELD' | 'NEWER_FORMAT' | 'NOT_USABLE';

/** Why a root directory cannot be opened. */
export class StateRootError extends CodedError<StateRootErrorCode> {}

/** Version of the layout below the root. A program refuses a higher one: it could not know what it would destroy. */
const FORMAT = 1;

/** An opened root directory: nobody else opens it until `close`, and the kernel frees it when this process dies. */
export interface StateRoot {
  readonly path: string;
  close(): void;
}

interface Holder {
  readonly pid: number;
  readonly command: string;
  readonly since: string;
}

/**
 * Returns the directory that holds all state when nobody names another:
 * `$DRAYAGE_ROOT`, else `/var/lib/drayage` for root, else `$XDG_DATA_HOME/drayage` (`~/.local/share/drayage`).
 */
export function defaultRootPath(
  environment: NodeJS.ProcessEnv = process.env,
  uid: number | undefined = process.getuid?.(),
): string {
  const named = environment['DRAYAGE_ROOT'];
  if (named !== undefined && named !== '') return named;
  if (uid === 0) return '/var/lib/drayage';
  const data = environment['XDG_DATA_HOME'];
  return join(data !== undefined && data !== '' ? data : join(homedir(), '.local', 'share'), 'drayage');
}

/**
 * Opens `path` for this process alone, making it on first use.
 *
 * The lock is an exclusive SQLite transaction on `lock.db`: a lock of the kernel, so that a killed process leaves none behind.
 *
 * @throws StateRootError `HELD` naming the holder, `NEWER_FORMAT`, or `NOT_USABLE` with the reason
 */
export async function openStateRoot(path: string, command: string): Promise<StateRoot> {
  await makeUsable(path);
  const lock = await takeLock(path);
  try {
    await checkFormat(path);
    const holder: Holder = { pid: process.pid, command, since: new Date().toISOString() };
    await writeFileAtomic(join(path, 'holder.json'), `${JSON.stringify(holder)}\n`);
  } catch (error) {
    lock.close();
    throw error;
  }
  return { path, close: () => lock.close() };
}

async function makeUsable(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o755 });
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const reason = isSystemError(error) ? (error.code ?? messageOf(error)) : messageOf(error);
    throw new StateRootError(
      'NOT_USABLE',
      `Cannot use root directory ${JSON.stringify(path)}: ${reason}; name another with --root or DRAYAGE_ROOT`,
      { cause: error },
    );
  }
}

async function takeLock(path: string): Promise<DatabaseSync> {
  const database = new DatabaseSync(join(path, 'lock.db'));
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE;');
    return database;
  } catch (error) {
    database.close();
    if (!/locked|busy/i.test(messageOf(error))) {
      throw new StateRootError(
        'NOT_USABLE',
        `Cannot lock root directory ${JSON.stringify(path)}: ${messageOf(error)}`,
        { cause: error },
      );
    }
    const holder = await readHolder(path);
    const who =
      holder === undefined
        ? 'another process'
        : `process ${holder.pid} (${holder.command}, since ${holder.since})`;
    throw new StateRootError(
      'HELD',
      `Cannot open root directory ${JSON.stringify(path)}: it is held by ${who}`,
      { cause: error },
    );
  }
}

/** Tells who holds a root, as far as the holder could write it down. */
export async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(join(path, 'holder.json'), 'utf8'));
    if (typeof value !== 'object' || value === null) return undefined;
    const { pid, command, since } = value as Record<string, unknown>;
    return typeof pid === 'number' && typeof command === 'string' && typeof since === 'string'
      ? { pid, command, since }
      : undefined;
  } catch (error) {
    if (isSystemError(error, 'ENOENT') || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function checkFormat(path: string): Promise<void> {
  const file = join(path, 'format');
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
    await writeFileAtomic(file, `${FORMAT}\n`);
    return;
  }
  const found = Number(text.trim());
  if (!Number.isInteger(found) || found < 1) {
    throw new StateRootError(
      'NOT_USABLE',
      `Cannot open root directory ${JSON.stringify(path)}: its file "format" holds ${JSON.stringify(text.trim())}, expected a number`,
    );
  }
  if (found > FORMAT) {
    throw new StateRootError(
      'NEWER_FORMAT',
      `Cannot open root directory ${JSON.stringify(path)}: a newer version of dray wrote it (format ${found}, this version knows ${FORMAT}); update dray or name another root with --root`,
    );
  }
}
