import { systemClock, type Clock } from '../base/clock.ts';
import type { KubeObject } from '../kube/object.ts';
import { StoreDatabase, type Row } from './_store-database.ts';
import { StoreReader } from './_store-reader.ts';
import { rememberText } from './object-text.ts';
import {
  describeKey,
  StoreError,
  type Change,
  type ObjectKey,
  type StoredRow,
  type StoreList,
  type StoreListOptions,
  type Stored,
} from './stored-object.ts';

/** Changes younger than this stay readable, so that a client that paused can go on where it was. */
export const HISTORY_MS = 5 * 60_000;
/** Changes kept at most, however young: bounds the file under a storm of writes. */
export const HISTORY_CHANGES = 50_000;

/** Revisions that no reader after a compaction to `?` can ask for. */
const DEAD = `SELECT revision FROM versions WHERE superseded <= ?
  UNION ALL SELECT revision FROM versions WHERE type = 'DELETED' AND revision <= ?`;

type Listener = (change: Change) => void;

/** Writes that share one commit. */
interface Batch {
  /** The revision before the first of them. */
  readonly start: number;
  readonly writes: (Stored & { readonly type: Change['type']; readonly before: string | undefined })[];
  readonly done: PromiseWithResolvers<void>;
}

/**
 * Keeps API objects in SQLite as one log of changes: the number of a row is the resource version of the object in it.
 *
 * Writes of one turn of the event loop share a commit, since a commit waits for the disk. A write is seen by reads at
 * once, is durable after `settled`, and is announced to subscribers only then: who answers a client awaits `settled`
 * first, after reads too. Writes never leave a gap or repeat a number; a batch that cannot be written leaves no trace.
 */
export class ObjectStore {
  readonly #db: StoreDatabase;
  readonly #reader: StoreReader;
  readonly #clock: Clock;
  readonly #listeners = new Map<string, Set<Listener>>();
  #revision: number;
  #compacted: number;
  #batch: Batch | undefined;

  /** @param path the database file, made when absent, or `:memory:` */
  constructor(path: string, clock: Clock = systemClock) {
    this.#clock = clock;
    this.#db = new StoreDatabase(path);
    this.#reader = new StoreReader(this.#db);
    this.#revision = this.#db.number("SELECT seq AS n FROM sqlite_sequence WHERE name = 'versions'");
    this.#compacted = this.#db.number("SELECT value AS n FROM facts WHERE name = 'compacted'");
  }

  /** The number of the newest change. */
  get revision(): number {
    return this.#revision;
  }

  /** The newest change that was forgotten; watching from here on loses nothing. */
  get compacted(): number {
    return this.#compacted;
  }

  get(key: ObjectKey): StoredRow | undefined {
    return this.#reader.get(key);
  }

  /** @throws StoreError `ALREADY_EXISTS` */
  create(key: ObjectKey, object: KubeObject): Stored {
    if (this.#reader.currentRevision(key) !== undefined) {
      throw new StoreError('ALREADY_EXISTS', `Cannot create ${describeKey(key)}: it exists`);
    }
    return this.#append('ADDED', key, object, undefined);
  }

  /** @throws StoreError `NOT_FOUND`, or `CONFLICT` when `expected` is no longer the newest revision */
  update(key: ObjectKey, expected: number, object: KubeObject): Stored {
    return this.#append('MODIFIED', key, object, this.#expect(key, expected));
  }

  /**
   * Removes the object; `last` is what watchers see of it.
   *
   * @throws StoreError `NOT_FOUND`, `CONFLICT`
   */
  delete(key: ObjectKey, expected: number, last: KubeObject): Stored {
    return this.#append('DELETED', key, last, this.#expect(key, expected));
  }

  /** @throws StoreError `EXPIRED` when the history no longer reaches back to the wanted revision */
  list(resource: string, options: StoreListOptions = {}): StoreList {
    return this.#reader.list(resource, options, this);
  }

  /**
   * Returns at most `limit` changes of a resource after `revision`, oldest first.
   *
   * @throws StoreError `EXPIRED` when some of them were forgotten
   */
  changesAfter(resource: string, revision: number, limit: number): Change[] {
    return this.#reader.changesAfter(resource, revision, limit, this);
  }

  /** Resolves once everything written so far is durable; rejects when it could not be made so and is undone. */
  settled(): Promise<void> {
    return this.#batch?.done.promise ?? Promise.resolve();
  }

  /** Commits what was written so far without waiting for the end of the turn. */
  flush(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    try {
      this.#db.prepare('COMMIT').run();
    } catch (error) {
      this.#lose(batch, error);
      throw error;
    }
    batch.done.resolve();
    for (const { before, ...write } of batch.writes) this.#announce(write, before);
  }

  /** Calls `listener` after each change of a resource, in order; returns the way to stop. */
  subscribe(resource: string, listener: Listener): () => void {
    let listeners = this.#listeners.get(resource);
    if (listeners === undefined) this.#listeners.set(resource, (listeners = new Set()));
    listeners.add(listener);
    const set = listeners;
    return () => {
      set.delete(listener);
    };
  }

  /** Returns keys of current objects of a resource last written before `at` (milliseconds), oldest first, at most `limit`. */
  writtenBefore(resource: string, at: number, limit: number): ObjectKey[] {
    return this.#reader.writtenBefore(resource, at, limit);
  }

  /** Counts what is stored, by resource. */
  counts(): Map<string, number> {
    return this.#reader.counts();
  }

  /** Forgets changes that are older than the history kept. Current objects always stay. */
  compact(to: number = this.#compactionTarget()): void {
    if (to <= this.#compacted) return;
    this.flush();
    const target = Math.min(to, this.#revision);
    this.#db.transaction(() => {
      this.#db.prepare(`DELETE FROM bodies WHERE revision IN (${DEAD})`).run(target, target);
      this.#db.prepare(`DELETE FROM versions WHERE revision IN (${DEAD})`).run(target, target);
      this.#db.prepare("UPDATE facts SET value = ? WHERE name = 'compacted'").run(target);
    });
    this.#compacted = target;
  }

  /** Writes a consistent copy of the database to a new file while the server runs. */
  backup(path: string): void {
    this.flush();
    this.#db.prepare('VACUUM INTO ?').run(path);
  }

  close(): void {
    this.flush();
    this.#listeners.clear();
    this.#db.close();
  }

  #append(
    type: Change['type'],
    key: ObjectKey,
    object: KubeObject,
    previous: { revision: number; body: string } | undefined,
  ): Stored {
    const revision = this.#revision + 1;
    const metadata = { ...object.metadata, resourceVersion: String(revision) };
    const written: KubeObject = { ...object, metadata };
    const body = JSON.stringify(written);
    rememberText(written, body);
    const batch = this.#begin();
    try {
      if (previous !== undefined) {
        this.#db
          .prepare('UPDATE versions SET superseded = ? WHERE revision = ?')
          .run(revision, previous.revision);
      }
      this.#db
        .prepare(
          'INSERT INTO versions (revision, resource, namespace, name, type, at, previous) VALUES (?, ?, ?, ?, ?, ?, ?)',
        )
        .run(
          revision,
          key.resource,
          key.namespace,
          key.name,
          type,
          Math.floor(this.#clock.now()),
          previous?.revision ?? null,
        );
      this.#db.prepare('INSERT INTO bodies (revision, body) VALUES (?, ?)').run(revision, body);
    } catch (error) {
      this.#lose(batch, error);
      throw error;
    }
    this.#reader.forget(key);
    this.#revision = revision;
    const result: Stored = { key, revision, object: written };
    batch.writes.push({ ...result, type, before: previous?.body });
    return result;
  }

  #begin(): Batch {
    if (this.#batch !== undefined) return this.#batch;
    this.#db.prepare('BEGIN IMMEDIATE').run();
    const batch: Batch = { start: this.#revision, writes: [], done: Promise.withResolvers() };
    this.#batch = batch;
    // Whoever wrote awaits the outcome; one that nobody awaits must not end the process.
    batch.done.promise.catch(() => undefined);
    setImmediate(() => {
      if (this.#batch !== batch) return;
      try {
        this.flush();
      } catch {
        // The promise that flush rejected tells everybody concerned.
        return;
      }
    });
    return batch;
  }

  /** Undoes a batch of which one write failed: what fails here is the disk, and the others could not be committed either. */
  #lose(batch: Batch, error: unknown): void {
    this.#db.rollback();
    for (const { key } of batch.writes) this.#reader.forget(key);
    this.#batch = undefined;
    this.#revision = batch.start;
    batch.done.reject(error);
  }

  #announce(write: Stored & { readonly type: Change['type'] }, before: string | undefined): void {
    const listeners = this.#listeners.get(write.key.resource);
    if (listeners === undefined || listeners.size === 0) return;
    const change: Change =
      before === undefined ? write : { ...write, previous: JSON.parse(before) as KubeObject };
    for (const listener of listeners) listener(change);
  }

  #expect(key: ObjectKey, expected: number): { revision: number; body: string } {
    const row = this.#db
      .prepare(
        `SELECT revision, body FROM versions JOIN bodies USING (revision)
       WHERE resource = ? AND namespace = ? AND name = ? AND superseded IS NULL AND type <> 'DELETED'`,
      )
      .get(key.resource, key.namespace, key.name) as Row | undefined;
    if (row === undefined)
      throw new StoreError('NOT_FOUND', `Cannot write ${describeKey(key)}: it does not exist`);
    const revision = Number(row['revision']);
    if (revision !== expected) {
      throw new StoreError(
        'CONFLICT',
        `Cannot write ${describeKey(key)}: it is at ${revision}, not ${expected}`,
        {
          retryable: true,
        },
      );
    }
    return { revision, body: String(row['body']) };
  }

  #compactionTarget(): number {
    const old = this.#db.number(
      'SELECT max(revision) AS n FROM versions WHERE at < ?',
      this.#clock.now() - HISTORY_MS,
    );
    return Math.max(old, this.#revision - HISTORY_CHANGES);
  }
}
