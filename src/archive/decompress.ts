import type { Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { ArchiveError } from './archive-error.ts';
import { ZstdFrameSplitter } from './_zstd-frames.ts';

export type Compression = 'none' | 'gzip' | 'zstd';

/**
 * Most uncompressed bytes for each compressed one, beyond {@link EXPANSION_FREE_BYTES}. Layers of zeros reach 1,000 with gzip,
 * real ones stay below 50; a bomb wants more.
 */
export const MAX_EXPANSION_RATIO = 250;
/** What any layer may expand to, however small it is. */
export const EXPANSION_FREE_BYTES = 1024 * 1024 * 1024;
/** Bytes inflated at a time: large enough that thread hops do not count. */
const OUTPUT_CHUNK = 256 * 1024;
/** Bytes that tell every known compression from every other. */
const MAGIC_BYTES = 6;

export interface DecompressOptions {
  readonly maxExpansionRatio?: number;
  readonly expansionFreeBytes?: number;
}

/**
 * Undoes gzip (also of several members) and zstd (also of several or skippable frames); other bytes pass as they are.
 * What it is shows in its first bytes, not in the media type: builders get that wrong, and runtimes never looked.
 * A chunk is only lent: its memory is gone when the next one is asked for.
 *
 * @throws ArchiveError `BAD_ARCHIVE`; `UNSUPPORTED` for bzip2 and xz; `LIMIT` when it expands beyond reason
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  options: DecompressOptions = {},
): AsyncGenerator<Buffer> {
  const ratio = options.maxExpansionRatio ?? MAX_EXPANSION_RATIO;
  const free = options.expansionFreeBytes ?? EXPANSION_FREE_BYTES;
  let taken = 0;
  let given = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      signal.throwIfAborted();
      taken += chunk.length;
      yield chunk;
    }
  }
  const { magic, all } = await peek(counted(), MAGIC_BYTES);
  const compression = compressionOf(magic);
  for await (const chunk of inflate(all, compression)) {
    given += chunk.length;
    if (compression !== 'none' && given > free && given > taken * ratio) {
      throw new ArchiveError(
        'LIMIT',
        `Cannot decompress layer: ${taken} bytes expanded to more than ${given}, the limit is ${ratio} times`,
      );
    }
    yield chunk;
  }
}

/** Tells the compression from the first bytes. @throws ArchiveError `UNSUPPORTED` */
export function compressionOf(magic: Uint8Array): Compression {
  if (magic[0] === 0x1f && magic[1] === 0x8b) return 'gzip';
  if (magic[0] === 0x28 && magic[1] === 0xb5 && magic[2] === 0x2f && magic[3] === 0xfd) return 'zstd';
  if (((magic[0] ?? 0) & 0xf0) === 0x50 && magic[1] === 0x2a && magic[2] === 0x4d && magic[3] === 0x18)
    return 'zstd';
  const text = Buffer.from(magic).toString('latin1');
  if (/^BZh[1-9]1A/.test(text)) throw new ArchiveError('UNSUPPORTED', 'Cannot decompress layer: it is bzip2');
  if (text.startsWith('\xfd7zXZ\0'))
    throw new ArchiveError('UNSUPPORTED', 'Cannot decompress layer: it is xz');
  return 'none';
}

async function* inflate(source: AsyncIterable<Uint8Array>, compression: Compression): AsyncGenerator<Buffer> {
  if (compression === 'none') {
    for await (const chunk of source) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    return;
  }
  const zstd = compression === 'zstd' ? new ZstdFrameSplitter() : undefined;
  const stage =
    zstd === undefined
      ? createGunzip({ chunkSize: OUTPUT_CHUNK })
      : createZstdDecompress({ chunkSize: OUTPUT_CHUNK });
  const feed = async (): Promise<void> => {
    try {
      for await (const chunk of source) {
        const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
        for (const piece of zstd?.split(bytes) ?? [bytes]) await write(stage, piece);
      }
      zstd?.finish();
      stage.end();
    } catch (error) {
      // The reader of the stage meets the failure; when the reader is gone already, nobody has to.
      stage.destroy(error as Error);
    }
  };
  void feed();
  try {
    for await (const chunk of stage as AsyncIterable<Buffer<ArrayBuffer>>) {
      yield chunk;
      giveBack(chunk);
    }
  } catch (error) {
    throw archiveError(error);
  } finally {
    stage.destroy();
  }
}

/**
 * Frees the memory of a chunk that was used up. Waiting for the collector instead would keep some 60 MB a thread, and have every
 * chunk inflated into memory that no cache holds. A stage goes on filling a chunk's memory until it is full, so only full ones go.
 */
function giveBack({ buffer, byteOffset, length }: Buffer<ArrayBuffer>): void {
  if (buffer.byteLength === OUTPUT_CHUNK && byteOffset + length === OUTPUT_CHUNK) buffer.transfer(0);
}

/** Resolves when the stage has taken all of the piece in, so that its memory may be used again. */
function write(stage: Transform, piece: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    stage.write(piece, (error) => {
      if (error == null) resolve();
      else reject(error);
    });
  });
}

function archiveError(error: unknown): unknown {
  const code = (error as { code?: unknown } | undefined)?.code;
  if (error instanceof ArchiveError || typeof code !== 'string') return error;
  if (!code.startsWith('Z_') && !code.startsWith('ZSTD_')) return error;
  return new ArchiveError('BAD_ARCHIVE', `Cannot decompress layer: ${(error as Error).message}`, {
    cause: error,
  });
}

/** Reads at least `count` bytes ahead, without taking them out of the stream. */
async function peek(
  source: AsyncIterable<Uint8Array>,
  count: number,
): Promise<{ magic: Buffer; all: AsyncIterable<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  let length = 0;
  while (length < count) {
    const next = await iterator.next();
    if (next.done === true) break;
    // Asking for more says that this chunk is done with, so what is kept of it is a copy.
    const enough = length + next.value.length >= count;
    head.push(enough ? next.value : Buffer.from(next.value));
    length += next.value.length;
  }
  async function* all(): AsyncGenerator<Uint8Array> {
    try {
      yield* head;
      for (;;) {
        const next = await iterator.next();
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await iterator.return?.();
    }
  }
  return { magic: Buffer.concat(head).subarray(0, count), all: all() };
}
