import { chmodSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { backup, DatabaseSync, type StatementSync } from 'node:sqlite';
import { LruMap } from '../../base/lru-map.ts';
import { MIGRATIONS } from './_schema.ts';

/** Milliseconds that a statement waits for another process's transaction. */
const BUSY_TIMEOUT_MS = 5_000;
/** Prepared statements kept; the registry has about as many texts. */
const STATEMENTS = 200;
/** Rows remembered for reads that come again and again: a manifest's row is some 300 bytes. */
const REMEMBERED_ROWS = 4_096;
/** Transactions joined in one commit at most, so that the first caller of a long queue is not kept waiting. */
const GROUP_LIMIT = 256;

interface QueuedWrite {
  readonly run: () => void;
  readonly settle: (failure?: unknown) => void;
  readonly durable: boolean;
}

/**
 * One SQLite file in WAL mode. Reads see every finished write. Writes that are asked for in the same turn of the event
 * loop share one commit, each inside a savepoint of its own, so that the flush to disk is paid once for all of them.
 */
export class SqliteDatabase {
  readonly #db: DatabaseSync;
  readonly #statements = new LruMap<string, StatementSync>(STATEMENTS);
  readonly #remembered = new LruMap<string, { readonly row: SqlRow | undefined }>(REMEMBERED_ROWS);
  /** What SQLite counts up when another connection has written. */
  #foreignWrites: SqlValue | undefined;
  #asked = false;
  #queue: QueuedWrite[] = [];
  #scheduled = false;
  #durable: boolean | undefined;
  #closed = false;

  /** Opens the file at `path`, making or upgrading it as needed. It is readable by its owner only: it holds keys. */
  constructor(path: string) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    this.#db = new DatabaseSync(path);
    this.#db.exec(`PRAGMA busy_timeout=${BUSY_TIMEOUT_MS}; PRAGMA journal_mode=WAL; PRAGMA foreign_keys=ON`);
    chmodSync(path, 0o600);
    this.#migrate(path);
  }

  get(sql: string, ...values: SqlValue[]): SqlRow | undefined {
    return this.#prepare(sql).get(...values) as SqlRow | undefined;
  }

  /**
   * As {@link SqliteDatabase.get}, but the row is remembered until anything is written, by this process or another. The row
   * must not be changed.
   */
  getAgain(sql: string, ...values: readonly string[]): SqlRow | undefined {
    this.#forgetForeignWrites();
    const key = [sql, ...values].join('\0');
    const known = this.#remembered.get(key);
    if (known !== undefined) return known.row;
    const row = this.get(sql, ...values);
    this.#remembered.set(key, { row });
    return row;
  }

  all(sql: string, ...values: SqlValue[]): SqlRow[] {
    return this.#prepare(sql).all(...values) as SqlRow[];
  }

  /** Runs one statement and returns how many rows it changed; inside {@link SqliteDatabase.write} only. */
  run(sql: string, ...values: SqlValue[]): number {
    return Number(this.#prepare(sql).run(...values).changes);
  }

  /**
   * Runs `task` as one transaction and resolves once it is committed.
   *
   * @param options `durable: false` for what may be lost with the machine's power, never with the process
   */
  write<T>(task: () => T, options: { durable?: boolean } = {}): Promise<T> {
    if (this.#closed) return Promise.reject(new Error('Cannot write: the database is closed'));
    return new Promise((resolve, reject) => {
      let result: T;
      this.#queue.push({
        run: () => {
          result = task();
        },
        settle: (failure) => (failure === undefined ? resolve(result) : reject(failure)),
        durable: options.durable ?? true,
      });
      if (this.#scheduled) return;
      this.#scheduled = true;
      setImmediate(() => this.#flush());
    });
  }

  /** Commits what is queued and closes the file. */
  close(): void {
    if (this.#closed) return;
    while (this.#queue.length > 0) this.#flush();
    this.#closed = true;
    this.#db.close();
  }

  /** Copies the database to a new file while it is in use. */
  async copyTo(path: string): Promise<void> {
    await backup(this.#db, path);
    chmodSync(path, 0o600);
  }

  /**
   * Asks whether another process has written, once a turn of the event loop: whatever a client sends after it heard of such a
   * write is read in a later turn.
   */
  #forgetForeignWrites(): void {
    if (this.#asked) return;
    this.#asked = true;
    setImmediate(() => {
      this.#asked = false;
    });
    const writes = this.get('PRAGMA data_version')?.['data_version'];
    if (writes === this.#foreignWrites) return;
    this.#remembered.clear();
    this.#foreignWrites = writes;
  }

  #flush(): void {
    this.#scheduled = false;
    const group = this.#queue.slice(0, GROUP_LIMIT);
    this.#queue = this.#queue.slice(GROUP_LIMIT);
    if (group.length === 0) return;
    this.#remembered.clear();
    if (this.#queue.length > 0) {
      this.#scheduled = true;
      setImmediate(() => this.#flush());
    }
    const outcomes: { write: QueuedWrite; failure?: unknown }[] = [];
    try {
      this.#setDurable(group.some((write) => write.durable));
      this.#db.exec('BEGIN IMMEDIATE');
      for (const write of group) outcomes.push({ write, ...this.#inSavepoint(write) });
      this.#db.exec('COMMIT');
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      for (const write of group) write.settle(error);
      return;
    }
    for (const { write, failure } of outcomes) write.settle(failure);
  }

  #inSavepoint(write: QueuedWrite): { failure?: unknown } {
    this.#db.exec('SAVEPOINT one');
    try {
      write.run();
      this.#db.exec('RELEASE one');
      return {};
    } catch (failure) {
      this.#db.exec('ROLLBACK TO one; RELEASE one');
      return { failure: failure ?? new Error('Cannot write: the transaction failed') };
    }
  }

  #setDurable(durable: boolean): void {
    if (this.#durable === durable) return;
    this.#db.exec(`PRAGMA synchronous=${durable ? 'FULL' : 'NORMAL'}`);
    this.#durable = durable;
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #migrate(path: string): void {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const version = Number(this.#db.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0);
      if (version > MIGRATIONS.length) {
        throw new Error(
          `Cannot open "${path}": it has schema version ${version}, this program knows ${MIGRATIONS.length}`,
        );
      }
      for (const migration of MIGRATIONS.slice(version)) this.#db.exec(migration);
      this.#db.exec(`PRAGMA user_version=${MIGRATIONS.length}; COMMIT`);
    } catch (error) {
      this.#db.exec('ROLLBACK');
      this.#db.close();
      throw error;
    }
  }
}

export type SqlValue = string | number | null | Uint8Array;
export type SqlRow = Record<string, string | number | null | Uint8Array>;
