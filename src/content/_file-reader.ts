import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { Digest } from '../oci/digest.ts';
import { contentError } from './_system-error.ts';
import { ContentError } from './content-error.ts';
import type { OpenContent, OpenOptions, Range } from './store.ts';

/** Bytes read at a time: large enough that a layer costs few system calls, small enough for many open readers. */
const READ_CHUNK = 256 * 1024;

/** Opens a committed file as a stream. @throws ContentError `NOT_FOUND`, `OUT_OF_RANGE` */
export async function streamFile(
  path: string,
  digest: Digest,
  range: Range,
  options: OpenOptions,
): Promise<Readable> {
  const action = `Cannot open content "${digest}"`;
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      if (range.offset < 0 || range.offset > size || (range.length ?? 0) < 0) {
        throw new ContentError('OUT_OF_RANGE', `${action} at ${range.offset}: it has ${size} bytes`);
      }
      const end = range.length === undefined ? size : Math.min(size, range.offset + range.length);
      if (end <= range.offset) {
        await file.close();
        return Readable.from([]);
      }
      return file.createReadStream({
        start: range.offset,
        end: end - 1,
        highWaterMark: options.chunkBytes ?? READ_CHUNK,
      });
    } catch (error) {
      await file.close();
      throw error;
    }
  } catch (error) {
    throw contentError(error, action);
  }
}

/** Opens a committed file for reads at any position. @throws ContentError `NOT_FOUND` */
export async function openFileAt(path: string, digest: Digest): Promise<OpenContent> {
  try {
    const file = await open(path, 'r');
    return {
      read: async (buffer, position) => (await file.read(buffer, 0, buffer.length, position)).bytesRead,
      close: () => file.close(),
    };
  } catch (error) {
    throw contentError(error, `Cannot open content "${digest}"`);
  }
}
