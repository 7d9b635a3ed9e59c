import { TarParser } from './tar-parser.ts';
import type { TarEntry } from './tar-entry.ts';

/** An event of {@link readTar}: an entry, then its bytes. */
export type TarEvent =
  | { readonly kind: 'entry'; readonly entry: TarEntry }
  | { readonly kind: 'data'; readonly chunk: Buffer; readonly offset: number }
  | { readonly kind: 'end' };

/**
 * Reads an uncompressed archive from a stream, as a sequence of events, never faster than they are taken.
 *
 * @throws ArchiveError `BAD_ARCHIVE`, `UNSUPPORTED`, `LIMIT`
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<TarEvent> {
  let events: TarEvent[] = [];
  const parser = new TarParser({
    entry: (entry) => events.push({ kind: 'entry', entry }),
    data: (chunk, offset) => events.push({ kind: 'data', chunk, offset }),
    end: () => events.push({ kind: 'end' }),
  });
  for await (const chunk of source) {
    signal.throwIfAborted();
    parser.push(chunk);
    const ready = events;
    events = [];
    yield* ready;
  }
  parser.finish();
}
