import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory, writeFileAtomic } from '../../base/atomic-file.ts';
import { isSystemError, messageOf } from '../../base/coded-error.ts';
import type { PulledRecord } from './pull-record.ts';
import {
  decodeIntent,
  decodeRecord,
  encodeIntent,
  encodeRecord,
  PullRecordError,
  type Decoded,
} from './pull-record-codec.ts';

const PREFIX = 'sha256-';
const TEMPORARY_SUFFIX = '.tmp';
/** Enough for thousands of credentials; a file beyond it is not ours. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;

/** What a listing found, and the files that could not be read; those are left as they are. */
export interface Listing<T> {
  readonly values: readonly T[];
  readonly errors: readonly PullRecordError[];
}

/**
 * Keeps intents and records as the kubelet does (rules 3.24 to 3.31): below `image_manager` of its root directory, one file
 * each, replaced whole and flushed before an operation returns.
 */
export class PullRecordFiles {
  readonly #pulling: string;
  readonly #pulled: string;

  private constructor(root: string) {
    this.#pulling = join(root, 'image_manager', 'pulling');
    this.#pulled = join(root, 'image_manager', 'pulled');
  }

  /**
   * Makes the directories, removes temporary files of a process that died and rewrites files of older versions.
   *
   * @param root the kubelet's root directory
   * @param report told of each file that cannot be read
   * @throws PullRecordError `UNWRITABLE`
   */
  static async open(root: string, report: (error: PullRecordError) => void): Promise<PullRecordFiles> {
    const files = new PullRecordFiles(root);
    try {
      for (const directory of [files.#pulling, files.#pulled]) {
        await mkdir(directory, { recursive: true, mode: 0o700 });
      }
      await files.#migrate(files.#pulling, decodeIntent, encodeIntent, report);
      await files.#migrate(files.#pulled, decodeRecord, encodeRecord, report);
    } catch (error) {
      throw unwritable(root, error);
    }
    return files;
  }

  async writeIntent(image: string): Promise<void> {
    await write(this.#pulling, image, encodeIntent(image));
  }

  async deleteIntent(image: string): Promise<void> {
    await remove(this.#pulling, image);
  }

  /** @throws PullRecordError when the file exists and cannot be read */
  async hasIntent(image: string): Promise<boolean> {
    const found = await read(this.#pulling, image, decodeIntent);
    return found?.value === image;
  }

  listIntents(): Promise<Listing<string>> {
    return list(this.#pulling, decodeIntent);
  }

  /**
   * Returns the record of an image; one that is about another image counts as absent (rule 3.29).
   *
   * @throws PullRecordError when the file exists and cannot be read
   */
  async readRecord(imageRef: string): Promise<PulledRecord | undefined> {
    const found = await read(this.#pulled, imageRef, decodeRecord);
    return found?.value.imageRef === imageRef ? found.value : undefined;
  }

  async writeRecord(record: PulledRecord): Promise<void> {
    await write(this.#pulled, record.imageRef, encodeRecord(record));
  }

  async deleteRecord(imageRef: string): Promise<void> {
    await remove(this.#pulled, imageRef);
  }

  listRecords(): Promise<Listing<PulledRecord>> {
    return list(this.#pulled, decodeRecord);
  }

  /** Counts files without reading them; broken ones are counted too. */
  async count(): Promise<{ readonly intents: number; readonly records: number }> {
    const count = async (directory: string): Promise<number> =>
      (await readdir(directory)).filter(isRecordName).length;
    return { intents: await count(this.#pulling), records: await count(this.#pulled) };
  }

  /** Rewrites files of an older version under their own name (rule 3.30). */
  async #migrate<T>(
    directory: string,
    decode: (text: string) => Decoded<T>,
    encode: (value: T) => string,
    report: (error: PullRecordError) => void,
  ): Promise<void> {
    for (const name of await readdir(directory)) {
      const path = join(directory, name);
      if (name.startsWith(PREFIX) && name.endsWith(TEMPORARY_SUFFIX)) await rm(path, { force: true });
      else if (isRecordName(name)) {
        try {
          const found = await readPath(path, decode);
          if (found !== undefined && !found.current) await replace(path, encode(found.value));
        } catch (error) {
          if (!(error instanceof PullRecordError)) throw error;
          report(error);
        }
      }
    }
  }
}

/** Names the file of an image string or an image reference. */
export function recordFileName(key: string): string {
  return PREFIX + createHash('sha256').update(key).digest('hex');
}

function isRecordName(name: string): boolean {
  return name.startsWith(PREFIX) && !name.endsWith(TEMPORARY_SUFFIX);
}

async function list<T>(directory: string, decode: (text: string) => Decoded<T>): Promise<Listing<T>> {
  const values: T[] = [];
  const errors: PullRecordError[] = [];
  let entries;
  try {
    entries = await readdir(directory, { withFileTypes: true });
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return { values, errors };
    throw new PullRecordError('UNREADABLE', `Cannot list "${directory}": ${messageOf(error)}`, {
      cause: error,
    });
  }
  for (const entry of entries) {
    if (entry.isDirectory() || !isRecordName(entry.name)) continue;
    try {
      const found = await readPath(join(directory, entry.name), decode);
      if (found !== undefined) values.push(found.value);
    } catch (error) {
      if (!(error instanceof PullRecordError)) throw error;
      errors.push(error);
    }
  }
  return { values, errors };
}

function read<T>(
  directory: string,
  key: string,
  decode: (text: string) => Decoded<T>,
): Promise<Decoded<T> | undefined> {
  return readPath(join(directory, recordFileName(key)), decode);
}

async function readPath<T>(
  path: string,
  decode: (text: string) => Decoded<T>,
): Promise<Decoded<T> | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw new PullRecordError('UNREADABLE', `Cannot read "${path}": ${messageOf(error)}`, { cause: error });
  }
  if (text.length > MAX_FILE_BYTES)
    throw new PullRecordError('BAD_RECORD', `Cannot read "${path}": too large`);
  try {
    return decode(text);
  } catch (error) {
    if (!(error instanceof PullRecordError)) throw error;
    throw new PullRecordError('BAD_RECORD', `Cannot read "${path}": ${error.message}`, { cause: error });
  }
}

async function write(directory: string, key: string, text: string): Promise<void> {
  const path = join(directory, recordFileName(key));
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await replace(path, text);
  } catch (error) {
    throw unwritable(path, error);
  }
}

async function replace(path: string, text: string): Promise<void> {
  await writeFileAtomic(path, text, { mode: 0o600, temporary: `${path}${TEMPORARY_SUFFIX}` });
}

async function remove(directory: string, key: string): Promise<void> {
  const path = join(directory, recordFileName(key));
  try {
    await rm(path, { force: true });
    await syncDirectory(directory);
  } catch (error) {
    throw unwritable(path, error);
  }
}

function unwritable(path: string, error: unknown): PullRecordError {
  return new PullRecordError('UNWRITABLE', `Cannot write "${path}": ${messageOf(error)}`, { cause: error });
}
