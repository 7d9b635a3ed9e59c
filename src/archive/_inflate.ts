import { setImmediate as turn } from 'node:timers/promises';
import type { Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { ArchiveError } from './archive-error.ts';
import { ZstdFrameSplitter } from './_zstd-frames.ts';

/**
 * Bytes inflated at a time. Each time another thread has to wake up, which on a busy machine takes milliseconds: with a quarter of this a
 * pull took a third longer there.
 */
const OUTPUT_CHUNK = 2 * 1024 * 1024;
/**
 * Chunks inflated ahead of whoever uses them. node:zlib inflates in a thread of its own: with some ahead, that thread and the one
 * that digests and makes files are both always busy.
 */
const READ_AHEAD = 2;

/**
 * Inflates while the caller is busy with what was inflated before. Bytes of the source are in use until the next chunk but one is
 * asked for; a chunk that is yielded is only lent, until the next one is asked for.
 *
 * @throws ArchiveError `BAD_ARCHIVE`; what the source throws
 */
export async function* inflate(
  source: AsyncIterable<Uint8Array>,
  compression: 'gzip' | 'zstd',
): AsyncGenerator<Buffer> {
  const splitter = compression === 'zstd' ? new ZstdFrameSplitter() : undefined;
  const options = { chunkSize: OUTPUT_CHUNK };
  const stage = splitter === undefined ? createGunzip(options) : createZstdDecompress(options);
  const ready: Buffer<ArrayBuffer>[] = [];
  let over: { readonly failure?: unknown } | undefined;
  let wake = (): void => {};
  stage.on('data', (chunk: Buffer<ArrayBuffer>) => {
    ready.push(chunk);
    if (ready.length >= READ_AHEAD) stage.pause();
    wake();
  });
  const end = (outcome: { readonly failure?: unknown }): void => {
    over ??= outcome;
    wake();
  };
  stage.on('end', () => end({}));
  stage.on('error', (failure) => end({ failure }));
  stage.on('close', () => end({ failure: new Error('Cannot decompress layer: it was stopped') }));
  void feed(stage, source, splitter);
  try {
    for (;;) {
      const chunk = ready.shift();
      if (chunk !== undefined) {
        if (stage.isPaused()) stage.resume();
        yield chunk;
        giveBack(chunk);
        // Lets the inflating thread have its next bytes before this one goes to work again.
        await turn();
      } else if (over !== undefined) {
        if ('failure' in over) throw archiveError(over.failure);
        return;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    stage.destroy();
  }
}

async function feed(
  stage: Transform,
  source: AsyncIterable<Uint8Array>,
  splitter: ZstdFrameSplitter | undefined,
): Promise<void> {
  try {
    let before: Promise<void> = Promise.resolve();
    for await (const chunk of source) {
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
      for (const piece of splitter?.split(bytes) ?? [bytes]) {
        const written = write(stage, piece);
        // One piece waits while another is inflated; a failure is met by whoever reads the stage.
        await before;
        before = written;
      }
    }
    await before;
    splitter?.finish();
    stage.end();
  } catch (error) {
    // The reader of the stage meets the failure; when the reader is gone already, nobody has to.
    stage.destroy(error as Error);
  }
}

/** Resolves when the stage has taken all of the piece in, so that its memory may be used again, or has failed. */
function write(stage: Transform, piece: Buffer): Promise<void> {
  return new Promise((resolve) => {
    stage.write(piece, () => resolve());
  });
}

/**
 * Frees the memory of a chunk that was used up. Waiting for the collector instead would keep some 60 MB a thread, and have every
 * chunk inflated into memory that no cache holds. A stage goes on filling a chunk's memory until it is full, so only full ones go.
 */
function giveBack({ buffer, byteOffset, length }: Buffer<ArrayBuffer>): void {
  if (buffer.byteLength === OUTPUT_CHUNK && byteOffset + length === OUTPUT_CHUNK) buffer.transfer(0);
}

function archiveError(error: unknown): unknown {
  const code = (error as { code?: unknown } | undefined)?.code;
  if (error instanceof ArchiveError || typeof code !== 'string') return error;
  if (!code.startsWith('Z_') && !code.startsWith('ZSTD_')) return error;
  return new ArchiveError('BAD_ARCHIVE', `Cannot decompress layer: ${(error as Error).message}`, {
    cause: error,
  });
}
