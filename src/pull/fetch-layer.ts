import { ArchiveError } from '../archive/archive-error.ts';
import { ContentError } from '../content/content-error.ts';
import type { ContentStore } from '../content/store.ts';
import type { LayerSink } from '../images/layer-sink.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, type Digest } from '../oci/digest.ts';
import { RemoteError } from '../remote/remote-error.ts';
import { DownloadStory, type DownloadContext } from './download.ts';
import { GatheredWrites } from './_gathered-writes.ts';
import type { LayerUnpacker } from './layer-unpacker.ts';
import { downloadInRanges } from './ranged-download.ts';

export interface FetchContext extends DownloadContext {
  readonly content: Pick<ContentStore, 'stat' | 'openIngest'>;
  /** Connections that a large blob may have at a time; 1 when absent. */
  readonly connectionsPerLayer?: number;
  readonly onBytes?: (held: number) => void;
  /** Called when all bytes are there. */
  readonly onVerify?: () => void;
  /** Runs what is left of the unpacking once all bytes are there; at once when absent. */
  readonly ending?: (task: () => Promise<unknown>) => Promise<unknown>;
}

/** Tells whether the content store has all of a descriptor's content. */
export async function isHeld(content: Pick<ContentStore, 'stat'>, descriptor: Descriptor): Promise<boolean> {
  try {
    return (await content.stat(descriptor.digest)).size === descriptor.size;
  } catch (error) {
    if (error instanceof ContentError && error.code === 'NOT_FOUND') return false;
    throw error;
  }
}

/**
 * Brings one blob into the content store: takes up what an earlier attempt left, and starts over once, from another host if
 * there is one, when the digest turns out wrong. Nothing can be seen until all of it was verified.
 *
 * @param distrusted hosts whose bytes were already found wrong: their turn is the one that was given
 * @returns the bytes that travelled
 * @throws RemoteError or ContentError
 */
export async function fetchBlob(
  context: FetchContext,
  descriptor: Descriptor,
  signal: AbortSignal,
  distrusted?: ReadonlySet<string>,
): Promise<number> {
  const { content } = context;
  const avoid = new Set(distrusted);
  let travelled = 0;
  for (let round = distrusted === undefined ? 1 : 2; ; round++) {
    const algorithm = algorithmOf(descriptor.digest);
    const ingest = await content.openIngest(descriptor.digest, { algorithm, wait: signal });
    try {
      if (await isHeld(content, descriptor)) {
        await ingest.abort();
        return travelled;
      }
      if (ingest.offset > descriptor.size) await ingest.truncate(0);
      const inherited = ingest.offset;
      const story = new DownloadStory();
      const gathered = new GatheredWrites(ingest, context.release);
      try {
        await fill(context, descriptor, gathered, inherited, { story, avoid }, signal);
      } finally {
        travelled += story.travelled;
        // What arrived before a failure is where the next attempt begins.
        await gathered.flush();
      }
      context.onVerify?.();
      try {
        await ingest.commit({ digest: descriptor.digest, size: descriptor.size });
        return travelled;
      } catch (error) {
        const wrong = error instanceof ContentError && error.code === 'DIGEST_MISMATCH';
        if (!wrong) throw error;
        if (round > 1 && inherited === 0) throw mismatch(error, descriptor);
        // Bytes found on disk may be what was wrong; only hosts that sent everything are known to be.
        if (inherited === 0) for (const host of story.hosts) avoid.add(host);
        else round--;
      }
    } catch (error) {
      // More bytes than there should be, or a wrong digest: nothing of it is worth keeping.
      if (error instanceof RemoteError && error.code.endsWith('_MISMATCH')) await ingest.abort();
      throw error;
    } finally {
      await ingest.close();
    }
  }
}

/**
 * Brings one layer and unpacks it while it arrives. When its bytes turn out wrong on the way, they are fetched once more,
 * verified first and unpacked afterwards, so that the error, if there is one, names the true cause.
 *
 * @returns the bytes that travelled
 */
export async function fetchAndUnpack(
  context: FetchContext,
  unpacker: LayerUnpacker,
  descriptor: Descriptor,
  diffId: Digest,
  signal: AbortSignal,
): Promise<number> {
  const sink = await openSink(unpacker, descriptor, diffId);
  if (sink === undefined) return fetchBlob(context, descriptor, signal);
  const inherited = sink.offset;
  const story = new DownloadStory();
  try {
    try {
      const destination = {
        write: async (chunk: Uint8Array): Promise<void> => {
          await sink.write(chunk);
          context.release?.(chunk);
        },
      };
      await fill(context, descriptor, destination, inherited, { story, avoid: new Set() }, signal);
      context.onVerify?.();
      // What is left is a window of bytes: not worth being interrupted.
      await (context.ending === undefined ? sink.finish() : context.ending(() => sink.finish()));
      return story.travelled;
    } catch (error) {
      signal.throwIfAborted();
      if (!isWrong(error)) throw error;
      await sink.abort();
    }
  } finally {
    await sink.close();
  }
  const distrusted = inherited === 0 ? story.hosts : undefined;
  return story.travelled + (await fetchBlob(context, descriptor, signal, distrusted));
}

async function fill(
  context: FetchContext,
  descriptor: Descriptor,
  destination: { write(chunk: Uint8Array): Promise<void> },
  have: number,
  { story, avoid }: { readonly story: DownloadStory; readonly avoid: ReadonlySet<string> },
  signal: AbortSignal,
): Promise<void> {
  let held = have;
  const connections = context.connectionsPerLayer ?? 1;
  for await (const chunk of downloadInRanges(context, descriptor, have, story, avoid, connections, signal)) {
    held += chunk.length;
    await destination.write(chunk);
    context.onBytes?.(held);
  }
}

async function openSink(
  unpacker: LayerUnpacker,
  descriptor: Descriptor,
  diffId: Digest,
): Promise<LayerSink | undefined> {
  try {
    return await unpacker.openSink?.(descriptor, diffId);
  } catch (error) {
    // Somebody else takes the same bytes in: wait for them as a plain blob.
    if (error instanceof ContentError && error.code === 'LOCKED') return undefined;
    throw error;
  }
}

function isWrong(error: unknown): boolean {
  if (error instanceof RemoteError) return error.code === 'SIZE_MISMATCH' || error.code === 'SHORT_BODY';
  if (error instanceof ContentError)
    return error.code === 'DIGEST_MISMATCH' || error.code === 'SIZE_MISMATCH';
  return error instanceof ArchiveError && error.code !== 'NO_SPACE' && error.code !== 'IO';
}

function mismatch(error: ContentError, descriptor: Descriptor): RemoteError {
  const actual = /digest is (sha\d+:[0-9a-f]+)/.exec(error.message)?.[1] ?? 'another';
  return new RemoteError(
    'DIGEST_MISMATCH',
    `unexpected commit digest ${actual}, expected ${descriptor.digest}: failed precondition`,
    { cause: error },
  );
}
