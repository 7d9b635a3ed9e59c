import { GzipInflater, WINDOWS } from './gzip-inflater.ts';
import type { InflatePartner } from './inflate-partner.ts';
import { SourceAhead } from './_source-ahead.ts';

/** Inflaters that this thread keeps for the next stream: one has 3 MB. */
const SPARE_INFLATERS = 2;
/** Windows that a partner fills in one turn: the others are used meanwhile. */
const WINDOWS_A_TURN = WINDOWS / 2;

const spare: GzipInflater[] = [];

/**
 * Inflates gzip whose result is checked by its digest: CRCs are not looked at. A partner, which may come and go, inflates while the caller
 * is busy with what was inflated before. Bytes of the source are in use until the next chunk but one is asked for; a chunk that is yielded
 * is only lent, until the next one is asked for.
 *
 * @throws ArchiveError `BAD_ARCHIVE`; what the source throws
 */
export async function* inflateGzip(
  source: AsyncIterable<Uint8Array>,
  partner: () => InflatePartner | undefined,
): AsyncGenerator<Buffer> {
  const inflater = spare.pop() ?? new GzipInflater();
  const input = new SourceAhead(source);
  let away = false;
  try {
    /** Windows that are full and not used yet; the partner has others. */
    let lent: readonly Buffer[] = [];
    /** Whether the cursor's window is full. */
    let full = false;
    for (;;) {
      input.give(inflater);
      const { window } = inflater.cursor;
      const first: number = full ? (window + 1) % WINDOWS : window;
      const helper = partner();
      if (helper === undefined) {
        yield* lent;
        lent = [];
        if (first !== window) inflater.open(first);
        full = inflater.fill();
        if (full) {
          yield inflater.made();
          inflater.open(first);
          full = false;
          continue;
        }
      } else {
        const windows: readonly number[] = Array.from(
          { length: WINDOWS_A_TURN },
          (_, index) => (first + index) % WINDOWS,
        );
        away = true;
        const filling = helper.fill(inflater, windows);
        // When the caller has enough of it, nobody waits for this.
        filling.catch(() => undefined);
        yield* lent;
        lent = [];
        const filled = await filling;
        away = false;
        if (filled === undefined) continue;
        lent = filled;
        full = filled.length === windows.length;
        if (full) continue;
      }
      if (input.hasMore) continue;
      yield* lent;
      lent = [];
      if (!(await input.wait())) break;
    }
    inflater.end();
    const rest = inflater.made();
    if (rest.length > 0) yield rest;
  } finally {
    if (!away && spare.length < SPARE_INFLATERS) {
      inflater.reset();
      spare.push(inflater);
    }
    await input.close();
  }
}
