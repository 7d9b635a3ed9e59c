import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isSystemError } from '../base/coded-error.ts';
import { UsageError } from './exit.ts';

/**
 * Writes a file that appears under its name only when all of it is there.
 *
 * @throws UsageError when there is no such directory, or a directory has the name
 */
export async function writeWholeFile(
  file: string,
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const partial = `${file}.${process.pid}.partial`;
  try {
    await pipeline(Readable.from(bytes), createWriteStream(partial), { signal });
    await rename(partial, file);
  } catch (error) {
    const why = reasonOf(error);
    throw why === undefined ? error : new UsageError(`cannot write ${JSON.stringify(file)}: ${why}`);
  } finally {
    await rm(partial, { force: true });
  }
}

/** Reads a file from its beginning. @throws UsageError when there is none */
export async function* readFileOf(file: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(file) as AsyncIterable<Uint8Array>;
  } catch (error) {
    const why = reasonOf(error);
    throw why === undefined ? error : new UsageError(`cannot read ${JSON.stringify(file)}: ${why}`);
  }
}

/** Returns why a path that somebody named is of no use; undefined when it is not the path. */
function reasonOf(error: unknown): string | undefined {
  if (!isSystemError(error)) return undefined;
  return REASONS[error.code ?? ''];
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or directory',
  ENOTDIR: 'what stands in front is no directory',
  EISDIR: 'it is a directory',
  EACCES: 'permission denied',
  EROFS: 'the file system is read-only',
};
