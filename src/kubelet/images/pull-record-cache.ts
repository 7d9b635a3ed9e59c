import { LruMap } from '../../base/lru-map.ts';
import type { PulledRecord } from './pull-record.ts';
import type { Listing, PullRecordFiles } from './pull-record-files.ts';

/** Upper bounds of the two caches (rule 3.34). */
const MAX_INTENTS = 1024;
const MAX_RECORDS = 2000;

/** What the size of the caches follows from. */
export interface CacheSizing {
  readonly maxPods: number;
  readonly maxParallelImagePulls: number | undefined;
}

export function intentCacheSize({ maxPods, maxParallelImagePulls = 0 }: CacheSizing): number {
  return Math.max(1, Math.min(MAX_INTENTS, Math.max(2 * maxPods, 2 * maxParallelImagePulls)));
}

export function recordCacheSize({ maxPods }: CacheSizing): number {
  return Math.max(1, Math.min(MAX_RECORDS, 5 * maxPods));
}

/** A bounded cache that knows whether what it does not hold does not exist. */
class KnownEntries<V> {
  readonly #entries: LruMap<string, V>;
  readonly #capacity: number;
  /** A miss means absence only while nothing was ever lost (rule 3.34). */
  #complete = false;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#entries = new LruMap(capacity);
  }

  load(listing: Listing<readonly [key: string, value: V]>): void {
    for (const [key, value] of listing.values) this.set(key, value);
    this.#complete = listing.errors.length === 0 && listing.values.length < this.#capacity;
  }

  get complete(): boolean {
    return this.#complete;
  }

  get usage(): number {
    return Math.floor((this.#entries.size * 100) / this.#capacity);
  }

  get(key: string): V | undefined {
    return this.#entries.get(key);
  }

  set(key: string, value: V): void {
    if (this.#entries.set(key, value) !== undefined) this.#complete = false;
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }
}

/** Intents and records on disk behind a write-through cache (rule 3.34): memory never knows what the disk does not. */
export class PullRecordCache {
  readonly #files: PullRecordFiles;
  readonly #intents: KnownEntries<true>;
  readonly #records: KnownEntries<PulledRecord>;

  private constructor(files: PullRecordFiles, sizing: CacheSizing) {
    this.#files = files;
    this.#intents = new KnownEntries(intentCacheSize(sizing));
    this.#records = new KnownEntries(recordCacheSize(sizing));
  }

  static async load(files: PullRecordFiles, sizing: CacheSizing): Promise<PullRecordCache> {
    const cache = new PullRecordCache(files, sizing);
    const intents = await files.listIntents();
    const records = await files.listRecords();
    cache.#intents.load({
      errors: intents.errors,
      values: intents.values.map((image) => [image, true] as const),
    });
    cache.#records.load({
      errors: records.errors,
      values: records.values.map((record) => [record.imageRef, record] as const),
    });
    return cache;
  }

  /** How full the caches are, in whole per cent. */
  get usage(): { readonly intents: number; readonly records: number } {
    return { intents: this.#intents.usage, records: this.#records.usage };
  }

  /** Whether a miss in memory is the last word. */
  get authoritative(): { readonly intents: boolean; readonly records: boolean } {
    return { intents: this.#intents.complete, records: this.#records.complete };
  }

  /** Counts files on disk. */
  count(): Promise<{ readonly intents: number; readonly records: number }> {
    return this.#files.count();
  }

  async writeIntent(image: string): Promise<void> {
    await this.#files.writeIntent(image);
    this.#intents.set(image, true);
  }

  async deleteIntent(image: string): Promise<void> {
    await this.#files.deleteIntent(image);
    this.#intents.delete(image);
  }

  /** @throws PullRecordError */
  async hasIntent(image: string): Promise<boolean> {
    if (this.#intents.get(image) === true) return true;
    if (this.#intents.complete) return false;
    const found = await this.#files.hasIntent(image);
    if (found) this.#intents.set(image, true);
    return found;
  }

  listIntents(): Promise<Listing<string>> {
    return this.#files.listIntents();
  }

  /** @throws PullRecordError */
  async readRecord(imageRef: string): Promise<PulledRecord | undefined> {
    const known = this.#records.get(imageRef);
    if (known !== undefined || this.#records.complete) return known;
    const record = await this.#files.readRecord(imageRef);
    if (record !== undefined) this.#records.set(imageRef, record);
    return record;
  }

  async writeRecord(record: PulledRecord): Promise<void> {
    await this.#files.writeRecord(record);
    this.#records.set(record.imageRef, record);
  }

  async deleteRecord(imageRef: string): Promise<void> {
    await this.#files.deleteRecord(imageRef);
    this.#records.delete(imageRef);
  }

  listRecords(): Promise<Listing<PulledRecord>> {
    return this.#files.listRecords();
  }
}
