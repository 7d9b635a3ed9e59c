import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { StoreError } from './stored-object.ts';

const SCHEMA_VERSION = 1;
const SCHEMA = `
CREATE TABLE versions (
  revision INTEGER PRIMARY KEY AUTOINCREMENT,
  resource TEXT NOT NULL,
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  at INTEGER NOT NULL,
  previous INTEGER,
  superseded INTEGER
);
CREATE UNIQUE INDEX current ON versions (resource, namespace, name) WHERE superseded IS NULL AND type <> 'DELETED';
CREATE INDEX log ON versions (resource, revision);
CREATE INDEX dead ON versions (superseded) WHERE superseded IS NOT NULL;
CREATE TABLE bodies (revision INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO facts VALUES ('compacted', 0);
INSERT INTO sqlite_sequence (name, seq) VALUES ('versions', 1);
`;

export type Row = Record<string, string | number | bigint | null | Uint8Array>;

/** The file behind an object store: opened, laid out, with each statement prepared once. */
export class StoreDatabase {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** @throws StoreError `NEWER_VERSION` when a newer program wrote the file */
  constructor(path: string) {
    this.#db = new DatabaseSync(path);
    // FULL: a commit that was acknowledged survives loss of power. The cache is bounded to 8 MiB.
    this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -8192');
    const version = Number((this.#db.prepare('PRAGMA user_version').get() as Row)['user_version']);
    if (version > SCHEMA_VERSION) {
      this.#db.close();
      throw new StoreError(
        'NEWER_VERSION',
        `Cannot open "${path}": its format is version ${version}, this program knows up to ${SCHEMA_VERSION}`,
      );
    }
    if (version === 0) this.#db.exec(`BEGIN; ${SCHEMA} PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
  }

  /** Runs a statement of a closed set of texts: no value is ever spliced into one, so the cache is bounded by the code. */
  prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, (statement = this.#db.prepare(sql)));
    return statement;
  }

  /** Returns column `n` of the first row, 0 when there is none. */
  number(sql: string, ...values: (string | number)[]): number {
    const row = this.prepare(sql).get(...values) as Row | undefined;
    return Number(row?.['n'] ?? 0);
  }

  /** Runs `work` in a transaction of its own. */
  transaction(work: () => void): void {
    this.prepare('BEGIN IMMEDIATE').run();
    try {
      work();
      this.prepare('COMMIT').run();
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  /** Undoes the transaction under way, if a full disk did not end it already. */
  rollback(): void {
    if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
  }

  close(): void {
    this.#statements.clear();
    this.#db.close();
  }
}
