import type { UnpackResult } from '../archive/unpack-job.ts';
import type { UnpackSink } from '../archive/unpack-sink.ts';
import type { ExternalIngest } from '../content/file-store.ts';
import type { Digest } from '../oci/digest.ts';

/** Facts about an unpacked layer. */
export interface LayerInfo {
  readonly diffId: Digest;
  readonly entries: number;
  /** Bytes of file content. */
  readonly bytes: number;
}

/** Takes the bytes of a layer as they arrive and makes of them both the committed blob and the unpacked layer. */
export interface LayerSink {
  /** Bytes kept from an earlier, interrupted sink: the first byte to write is this one. */
  readonly offset: number;
  write(chunk: Uint8Array): Promise<void>;
  /** @throws ArchiveError, ContentError; the kept bytes are gone when they were wrong */
  finish(): Promise<LayerInfo>;
  /** Stops and keeps the bytes for a later sink, but nothing unpacked; harmless after finish. */
  close(): Promise<void>;
  /** Stops and keeps nothing; harmless after finish. */
  abort(): Promise<void>;
}

interface LayerSinkParts {
  readonly offset: number;
  readonly unpacking: UnpackSink;
  /** The file that a worker keeps the compressed bytes in. */
  readonly ingest: ExternalIngest;
  readonly publish: (result: UnpackResult) => Promise<LayerInfo>;
  readonly discard: () => Promise<void>;
}

/** Puts a sink together from the unpacking in a thread and the ingest of its compressed bytes. */
export function layerSink({ offset, unpacking, ingest, publish, discard }: LayerSinkParts): LayerSink {
  let over = false;
  const stop = async (end: () => Promise<void>): Promise<void> => {
    if (over) return;
    over = true;
    await unpacking.abort();
    await discard();
    await end();
  };
  return {
    offset,
    write: (chunk) => unpacking.write(chunk),
    finish: async () => {
      over = true;
      try {
        const result = await unpacking.finish();
        await ingest.publish(result.digest, result.size);
        return await publish(result);
      } catch (error) {
        // Wrong bytes are of no use to anyone; on a full disk they are worth keeping.
        const wrong = (error as { code?: unknown }).code !== 'NO_SPACE';
        await (wrong ? ingest.abort() : ingest.close());
        throw error;
      } finally {
        await discard();
      }
    },
    close: () => stop(() => ingest.close()),
    abort: () => stop(() => ingest.abort()),
  };
}
