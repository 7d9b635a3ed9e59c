import type { Descriptor } from '../oci/descriptor.ts';
import { downloadChunks, WholeAnswerError, type DownloadContext, type DownloadStory } from './download.ts';

/** Connections that one large layer may have at a time when nothing else is said; registries close on clients that open dozens. */
export const DEFAULT_CONNECTIONS_PER_LAYER = 4;

/** Fewest bytes left for which the speed of a connection is looked at: smaller layers have others beside them. */
const LARGE_BYTES = 64 * 1024 * 1024;

/** Bytes of one range, of which each connection holds at most one in memory. */
const RANGE_BYTES = 4 * 1024 * 1024;

/** Bytes by which a connection is judged: enough for TCP to have found its speed on all but the longest ways. */
const PROBE_BYTES = 2 * RANGE_BYTES;

/** Bytes a second above which a connection of its own is fast enough: inflating takes no more than a few of these. */
const FAST_BYTES_PER_SECOND = 40e6;

/**
 * Yields the bytes of a blob as {@link downloadChunks} does, by several connections side by side where one is slow. The first bytes are
 * asked for as a range and timed; if they came fast, the rest is asked for in one go. Every byte is asked for once; the ranges that
 * wait for their turn are all that is in memory. A host that serves no ranges sends all in its first answer, which is then used.
 *
 * @param connections at most so many at a time; 1 asks for no ranges
 * @throws as {@link downloadChunks}
 */
export async function* downloadInRanges(
  context: DownloadContext,
  descriptor: Descriptor,
  have: number,
  story: DownloadStory,
  avoid: ReadonlySet<string>,
  connections: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const all = (from: number): AsyncGenerator<Uint8Array> =>
    downloadChunks(context, descriptor, from, story, avoid, signal);
  if (connections < 2 || descriptor.size - have < LARGE_BYTES) {
    yield* all(have);
    return;
  }
  let held = have;
  const probe = { end: have + PROBE_BYTES, takesWhole: true };
  let startedAt: number | undefined;
  let atStart = 0;
  let waited = 0;
  for await (const chunk of downloadChunks(context, descriptor, have, story, avoid, signal, probe)) {
    // From the first chunk on, so that the time until the answer is not taken for slowness.
    if (startedAt === undefined) {
      startedAt = context.clock.now();
      atStart = held + chunk.length;
    }
    held += chunk.length;
    const before = context.clock.now();
    yield chunk;
    // Nor is the time that whoever unpacks takes.
    waited += context.clock.now() - before;
  }
  const seconds = (context.clock.now() - (startedAt ?? 0) - waited) / 1000;
  if (seconds * FAST_BYTES_PER_SECOND <= held - atStart) {
    yield* all(held);
    return;
  }
  try {
    for await (const chunk of sideBySide(context, descriptor, held, story, avoid, connections, signal)) {
      held += chunk.length;
      yield chunk;
    }
  } catch (error) {
    // Another host has taken over, or the blob has changed: what is missing comes in one piece.
    if (!(error instanceof WholeAnswerError)) throw error;
    yield* all(held);
  }
}

/** One range on its way. */
interface Part {
  readonly chunks: Uint8Array[];
  readonly arriving: Promise<void>;
  over: boolean;
  wake: () => void;
}

async function* sideBySide(
  context: DownloadContext,
  descriptor: Descriptor,
  from: number,
  story: DownloadStory,
  avoid: ReadonlySet<string>,
  connections: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const start = (begin: number, end: number): Part => {
    const chunks: Uint8Array[] = [];
    const arrive = async (): Promise<void> => {
      const range = { end, takesWhole: false };
      for await (const chunk of downloadChunks(context, descriptor, begin, story, avoid, either, range)) {
        chunks.push(chunk);
        part.wake();
      }
    };
    const part: Part = { chunks, over: false, wake: () => {}, arriving: Promise.resolve().then(arrive) };
    const over = (): void => {
      part.over = true;
      part.wake();
    };
    part.arriving.then(over, over);
    return part;
  };
  const parts: Part[] = [];
  let next = from;
  try {
    for (;;) {
      while (parts.length < connections && next < descriptor.size) {
        const end = Math.min(next + RANGE_BYTES, descriptor.size);
        parts.push(start(next, end));
        next = end;
      }
      const [first] = parts;
      if (first === undefined) return;
      yield* chunksOf(first);
      parts.shift();
    }
  } finally {
    stop.abort(new Error('another range failed'));
    await Promise.allSettled(parts.map(({ arriving }) => arriving));
  }
}

async function* chunksOf(part: Part): AsyncGenerator<Uint8Array> {
  for (;;) {
    const chunk = part.chunks.shift();
    if (chunk !== undefined) yield chunk;
    else if (part.over) return await part.arriving;
    else
      await new Promise<void>((resolve) => {
        part.wake = resolve;
      });
  }
}
