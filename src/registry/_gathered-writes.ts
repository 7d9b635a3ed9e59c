import type { Ingest } from '../content/store.ts';

/** Most bytes gathered while earlier ones are being written. */
const GATHER_BYTES = 1024 * 1024;

/**
 * Writes to an ingest while the next bytes arrive: what came meanwhile goes out in one go. At most two lots are in memory, of
 * a client that sends faster than the disk takes.
 */
export class GatheredWrites {
  readonly #ingest: Ingest;
  #gathered: Uint8Array[] = [];
  #bytes = 0;
  #writing: Promise<void> | undefined;

  constructor(ingest: Ingest) {
    this.#ingest = ingest;
  }

  /** Takes bytes and resolves when more may come. @throws what writing earlier ones failed with */
  async add(chunk: Uint8Array): Promise<void> {
    this.#gathered.push(chunk);
    this.#bytes += chunk.length;
    if (this.#writing === undefined) this.#write();
    else if (this.#bytes >= GATHER_BYTES) await this.flush();
  }

  /** Resolves when all is written. */
  async flush(): Promise<void> {
    while (this.#writing !== undefined || this.#bytes > 0) {
      if (this.#writing === undefined) this.#write();
      await this.#writing;
    }
  }

  #write(): void {
    const chunks = this.#gathered;
    this.#gathered = [];
    this.#bytes = 0;
    const writing = writeAll(this.#ingest, chunks).then(() => {
      if (this.#writing === writing) this.#writing = undefined;
    });
    // Whoever adds or flushes next hears of it.
    writing.catch(() => {});
    this.#writing = writing;
  }
}

async function writeAll(ingest: Ingest, chunks: readonly Uint8Array[]): Promise<void> {
  if (ingest.writeAll !== undefined) return ingest.writeAll(chunks);
  for (const chunk of chunks) await ingest.write(chunk);
}
