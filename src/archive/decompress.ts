import { inflate } from './_inflate.ts';
import { ArchiveError } from './archive-error.ts';
import { inflateGzip } from './gzip/inflate-gzip.ts';
import type { InflatePartner } from './gzip/inflate-partner.ts';

export type Compression = 'none' | 'gzip' | 'zstd';

/**
 * Most uncompressed bytes for each compressed one, beyond {@link EXPANSION_FREE_BYTES}. Layers of zeros reach 1,000 with gzip,
 * real ones stay below 50; a bomb wants more.
 */
export const MAX_EXPANSION_RATIO = 250;
/** What any layer may expand to, however small it is. */
export const EXPANSION_FREE_BYTES = 1024 * 1024 * 1024;
/** Bytes that tell every known compression from every other. */
const MAGIC_BYTES = 6;

export interface DecompressOptions {
  readonly maxExpansionRatio?: number;
  readonly expansionFreeBytes?: number;
}

export interface DecompressHelp {
  /** Whether the caller checks a digest of what comes out: the checksums of gzip then need no second look. */
  readonly digestKnown?: boolean;
  /** Another thread to inflate in, asked for again and again: it may come and go. */
  readonly partner?: () => InflatePartner | undefined;
}

/**
 * Undoes gzip (also of several members) and zstd (also of several or skippable frames); other bytes pass as they are.
 * What it is shows in its first bytes, not in the media type: builders get that wrong, and runtimes never looked.
 * A chunk is only lent: its memory is gone when the next one is asked for. One of the source is in use until the next but one is.
 *
 * @throws ArchiveError `BAD_ARCHIVE`; `UNSUPPORTED` for bzip2 and xz; `LIMIT` when it expands beyond reason
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  options: DecompressOptions = {},
  help: DecompressHelp = {},
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
  for await (const chunk of inflated(all, compression, help)) {
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

function inflated(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  { digestKnown, partner = () => undefined }: DecompressHelp,
): AsyncIterable<Buffer> {
  if (compression === 'none') return buffers(source);
  return compression === 'gzip' && digestKnown === true
    ? inflateGzip(source, partner)
    : inflate(source, compression);
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

async function* buffers(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const chunk of source) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
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
