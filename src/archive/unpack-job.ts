import { closeSync, createReadStream, openSync, writeSync } from 'node:fs';
import { isSystemError, messageOf } from '../base/coded-error.ts';
import { algorithmOf, Digester, type Digest } from '../oci/digest.ts';
import type { ApplyOptions, ApplyReport } from './apply-options.ts';
import { ArchiveError } from './archive-error.ts';
import { decompress, type DecompressHelp, type DecompressOptions } from './decompress.ts';
import { LayerApplier } from './layer-applier.ts';
import { TarParser } from './tar-parser.ts';

/** Bytes read from a file at a time. */
const READ_CHUNK = 512 * 1024;

/** One layer to unpack. A plain value: it crosses to a worker thread. */
export interface UnpackJob {
  /** Existing directory that gets the files. */
  readonly target: string;
  readonly apply: ApplyOptions;
  /** Where the compressed bytes begin: all of a file, or a stream that the caller sends. */
  readonly source:
    | { readonly kind: 'file'; readonly path: string }
    | {
        readonly kind: 'stream';
        /** File that keeps the compressed bytes; its first `offset` bytes are used before the stream. */
        readonly keep?: { readonly path: string; readonly offset: number };
      };
  /** Digest of the compressed bytes, checked when given. */
  readonly digest?: Digest;
  /** Count of the compressed bytes, checked when given: reading stops at the first byte too many. */
  readonly size?: number;
  /** Digest of the uncompressed bytes, checked when given. */
  readonly diffId?: Digest;
  readonly limits?: DecompressOptions;
}

export interface UnpackResult {
  readonly digest: Digest;
  readonly size: number;
  readonly diffId: Digest;
  /** Bytes of the uncompressed archive. */
  readonly diffSize: number;
  readonly report: ApplyReport;
}

/**
 * Digests, inflates and applies a layer in one pass, in the calling thread.
 *
 * @param stream the bytes of a `stream` source; ignored for a file
 * @param partner tells of another thread that may inflate meanwhile
 * @throws ArchiveError; the target is then in an unknown state and has to be removed
 */
export async function runUnpackJob(
  job: UnpackJob,
  stream: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  partner?: DecompressHelp['partner'],
): Promise<UnpackResult> {
  const compressed = new Digester(job.digest === undefined ? 'sha256' : algorithmOf(job.digest));
  const uncompressed = new Digester(job.diffId === undefined ? 'sha256' : algorithmOf(job.diffId));
  const applier = new LayerApplier(job.target, job.apply);
  const parser = new TarParser(applier);
  let size = 0;
  let diffSize = 0;
  async function* taken(): AsyncGenerator<Uint8Array> {
    for await (const chunk of bytesOf(job, stream, signal)) {
      size += chunk.length;
      if (job.size !== undefined && size > job.size) throw wrongSize(job.size, 'more');
      compressed.update(chunk);
      yield chunk;
    }
  }
  try {
    const help = { digestKnown: job.diffId !== undefined, ...(partner === undefined ? {} : { partner }) };
    for await (const chunk of decompress(taken(), signal, job.limits, help)) {
      uncompressed.update(chunk);
      diffSize += chunk.length;
      parser.push(chunk);
    }
    parser.finish();
    if (job.size !== undefined && size !== job.size) throw wrongSize(job.size, String(size));
    const digest = matching(compressed.digest(), job.digest, 'digest');
    const diffId = matching(uncompressed.digest(), job.diffId, 'diff ID');
    const report = applier.finish();
    return { digest, size, diffId, diffSize, report };
  } finally {
    applier.dispose();
  }
}

async function* bytesOf(
  job: UnpackJob,
  stream: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { source } = job;
  if (source.kind === 'file') {
    yield* createReadStream(source.path, { highWaterMark: READ_CHUNK, signal }) as AsyncIterable<Buffer>;
    return;
  }
  if (source.keep === undefined) {
    yield* stream;
    return;
  }
  const { path, offset } = source.keep;
  if (offset > 0) {
    yield* createReadStream(path, {
      end: offset - 1,
      highWaterMark: READ_CHUNK,
      signal,
    }) as AsyncIterable<Buffer>;
  }
  const fd = openSync(path, 'r+');
  try {
    let position = offset;
    for await (const chunk of stream) {
      writeAll(fd, chunk, position);
      position += chunk.length;
      yield chunk;
    }
  } finally {
    closeSync(fd);
  }
}

/** Synchronous as everything else in this thread: a turn through the thread pool costs more than the writing. */
function writeAll(fd: number, chunk: Uint8Array, position: number): void {
  try {
    for (let done = 0; done < chunk.length;)
      done += writeSync(fd, chunk, done, chunk.length - done, position + done);
  } catch (error) {
    const full = isSystemError(error, 'ENOSPC') || isSystemError(error, 'EDQUOT');
    throw new ArchiveError(full ? 'NO_SPACE' : 'IO', `Cannot keep layer: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function wrongSize(expected: number, actual: string): ArchiveError {
  return new ArchiveError(
    'DIGEST_MISMATCH',
    `Cannot unpack layer: it has ${actual} bytes, expected ${expected}`,
  );
}

function matching(actual: Digest, expected: Digest | undefined, what: string): Digest {
  if (expected === undefined || actual === expected) return actual;
  throw new ArchiveError(
    'DIGEST_MISMATCH',
    `Cannot unpack layer: ${what} is ${actual}, expected ${expected}`,
  );
}
