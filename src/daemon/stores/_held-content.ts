import type { Ingest, Ingester, OpenIngestOptions, Provider } from '../../content/store.ts';
import type { HolderClient } from './_ask-holder.ts';

/** Bytes gathered before they are sent: as many as make the question's own cost small. */
const PIECE_BYTES = 1024 * 1024;

/** Reads and writes the content of a held root. */
export function heldContent(holder: HolderClient): Provider & Ingester {
  return {
    stat: (digest) => holder.call('content.stat', { digest }),
    open: async (digest, range) => {
      const query = new URLSearchParams();
      if (range !== undefined) query.set('offset', String(range.offset));
      if (range?.length !== undefined) query.set('length', String(range.length));
      return holder.ask({ method: 'GET', path: `/v1/content/${digest}?${query.toString()}` });
    },
    openIngest: (ref, options) => openHeldIngest(holder, ref, options),
  };
}

async function openHeldIngest(
  holder: HolderClient,
  ref: string,
  { algorithm, wait }: OpenIngestOptions = {},
): Promise<Ingest> {
  const opened = await holder.call(
    'ingests.open',
    { ref, ...(algorithm === undefined ? {} : { algorithm }), wait: wait !== undefined },
    wait,
  );
  const { id } = opened;
  let { offset } = opened;
  let over = false;
  let gathered: Uint8Array[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    if (bytes === 0) return;
    const piece = Buffer.concat(gathered);
    gathered = [];
    bytes = 0;
    await holder.append(id, piece);
  };
  const end = async (keep: boolean): Promise<void> => {
    if (over) return;
    over = true;
    await holder.call('ingests.end', { id, keep });
  };
  return {
    ref,
    get offset() {
      return offset;
    },
    write: async (chunk) => {
      // Copied, since the caller may use its buffer again before all of it was sent.
      gathered.push(Buffer.from(chunk));
      bytes += chunk.length;
      offset += chunk.length;
      if (bytes >= PIECE_BYTES) await flush();
    },
    truncate: async (to) => {
      await flush();
      await holder.call('ingests.truncate', { id, offset: to });
      offset = to;
    },
    commit: async (expected) => {
      await flush();
      const info = await holder.call('ingests.commit', { id, ...expected });
      await end(true);
      return info;
    },
    close: async () => {
      if (!over) await flush();
      await end(true);
    },
    abort: () => end(false),
  };
}
