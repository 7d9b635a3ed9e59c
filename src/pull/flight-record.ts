import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../base/atomic-file.ts';
import { isSystemError } from '../base/coded-error.ts';
import type { Hop } from '../remote/exchange.ts';

/** Hops kept of one attempt: a large image over a bad line makes some hundred. The first and the last are the telling ones. */
const MAX_HOPS = 400;

/** Attempts kept on a node. */
const MAX_RECORDS = 200;

/** What happened to one layer or config. */
export interface FlightPart {
  readonly digest: string;
  readonly size: number;
  /** `held`, `fetched`, `shared` with another pull, or `failed`. */
  readonly decision: 'held' | 'fetched' | 'shared' | 'failed';
  /** Bytes that travelled. */
  readonly bytes: number;
  readonly durationMs: number;
}

/** The story of one attempt to pull, fit to be shown to anybody: credentials by name only. */
export interface FlightRecord {
  readonly id: string;
  readonly image: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly durationMs: number;
  readonly outcome: 'pulled' | 'failed';
  readonly imageId?: string;
  readonly code?: string;
  readonly error?: string;
  readonly answers?: readonly { readonly host: string; readonly answer: string }[];
  readonly hops: readonly Hop[];
  /** Hops left out in the middle. */
  readonly hopsLeftOut: number;
  readonly parts: readonly FlightPart[];
}

/** Collects one attempt as it happens. */
export class FlightRecorder {
  readonly #first: Hop[] = [];
  readonly #last: Hop[] = [];
  #leftOut = 0;
  readonly parts: FlightPart[] = [];

  readonly hop = (hop: Hop): void => {
    if (this.#first.length < MAX_HOPS / 2) this.#first.push(hop);
    else this.#last.push(hop);
    if (this.#last.length <= MAX_HOPS / 2) return;
    this.#last.shift();
    this.#leftOut++;
  };

  get hops(): { hops: readonly Hop[]; hopsLeftOut: number } {
    return { hops: [...this.#first, ...this.#last], hopsLeftOut: this.#leftOut };
  }
}

/** Keeps the last attempts of a node as one JSON file each. */
export class FlightRecords {
  readonly #directory: string;

  /** @param directory `<root>/pulls`; made when first written to */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Makes an identifier that sorts by time. */
  static newId(now: number): string {
    return `${now.toString(36).padStart(9, '0')}-${randomBytes(4).toString('hex')}`;
  }

  /** Keeps a record and forgets the oldest beyond the limit. */
  async keep(record: FlightRecord): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    await writeFileAtomic(join(this.#directory, `${record.id}.json`), `${JSON.stringify(record)}\n`, {
      mode: 0o600,
    });
    const ids = await this.ids();
    for (const id of ids.slice(0, Math.max(0, ids.length - MAX_RECORDS))) {
      await rm(join(this.#directory, `${id}.json`), { force: true });
    }
  }

  /** Returns the identifiers, oldest first. */
  async ids(): Promise<string[]> {
    try {
      return (await readdir(this.#directory))
        .filter((name) => /^[0-9a-z]+-[0-9a-f]+\.json$/.test(name))
        .map((name) => name.slice(0, -'.json'.length))
        .sort();
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return [];
      throw error;
    }
  }

  /** Returns one record; undefined when it is not there or no longer readable. */
  async read(id: string): Promise<FlightRecord | undefined> {
    if (!/^[0-9a-z]+-[0-9a-f]+$/.test(id)) return undefined;
    try {
      return JSON.parse(await readFile(join(this.#directory, `${id}.json`), 'utf8')) as FlightRecord;
    } catch (error) {
      if (isSystemError(error, 'ENOENT') || error instanceof SyntaxError) return undefined;
      throw error;
    }
  }
}
