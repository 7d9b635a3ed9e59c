import type { Clock } from '../base/clock.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { RemoteError } from '../remote/remote-error.ts';
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

/** Statuses of an answer that makes nothing of a range, or something else than was asked for. */
const PARTIAL_CONTENT = 206;
const BAD_RANGE = 416;

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
  const speed = new Speed(context.clock);
  try {
    const probe = { end: have + PROBE_BYTES, takesWhole: true };
    for await (const chunk of downloadChunks(context, descriptor, have, story, avoid, signal, probe)) {
      speed.arrived(chunk.length);
      held += chunk.length;
      yield chunk;
      speed.used();
    }
    if (!speed.isBelow(FAST_BYTES_PER_SECOND)) {
      yield* all(held);
      return;
    }
    for await (const chunk of sideBySide(context, descriptor, held, story, avoid, connections, signal)) {
      held += chunk.length;
      yield chunk;
    }
  } catch (error) {
    if (!refusesRanges(error)) throw error;
    // What is missing comes in one piece.
    yield* all(held);
  }
}

/** Another host has taken over, the blob has changed, or ranges are served wrongly: all of which one plain request may get right. */
function refusesRanges(error: unknown): boolean {
  if (error instanceof WholeAnswerError) return true;
  return error instanceof RemoteError && (error.status === PARTIAL_CONTENT || error.status === BAD_RANGE);
}

/** Tells how fast bytes arrive, from the first ones on: neither the time until an answer counts nor that of whoever uses them. */
class Speed {
  readonly #clock: Clock;
  #since: number | undefined;
  #bytes = 0;
  #arrivedAt = 0;
  #usedMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  arrived(bytes: number): void {
    this.#arrivedAt = this.#clock.now();
    if (this.#since === undefined) this.#since = this.#arrivedAt;
    else this.#bytes += bytes;
  }

  used(): void {
    this.#usedMs += this.#clock.now() - this.#arrivedAt;
  }

  isBelow(bytesPerSecond: number): boolean {
    const ms = this.#clock.now() - (this.#since ?? 0) - this.#usedMs;
    return this.#bytes * 1000 < ms * bytesPerSecond;
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
