import type { Clock } from '../../base/clock.ts';
import type { LoginFailureIndex } from './identity-index.ts';
import type { SqliteDatabase } from './sqlite-database.ts';

/** Counts failed logins in SQLite. */
export class SqliteLoginFailureIndex implements LoginFailureIndex {
  readonly #db: SqliteDatabase;
  readonly #clock: Clock;

  constructor(db: SqliteDatabase, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  async loginFailures(keys: readonly string[]): Promise<{ key: string; failures: number; lastAt: number }[]> {
    const sql = 'SELECT * FROM login_failure WHERE key IN (SELECT value FROM json_each(?))';
    return this.#db.all(sql, JSON.stringify(keys)).map((row) => ({
      key: String(row['key']),
      failures: Number(row['failures']),
      lastAt: Number(row['last_at']),
    }));
  }

  recordLoginFailure(keys: readonly string[], forgetBefore: number): Promise<void> {
    const now = this.#clock.now();
    const sql = `INSERT INTO login_failure (key, failures, last_at) VALUES (?, 1, ?)
      ON CONFLICT (key) DO UPDATE SET failures = failures + 1, last_at = excluded.last_at`;
    return this.#db.write(
      () => {
        this.#db.run('DELETE FROM login_failure WHERE last_at < ?', forgetBefore);
        for (const key of keys) this.#db.run(sql, key, now);
      },
      { durable: false },
    );
  }

  async clearLoginFailures(key: string): Promise<void> {
    if (this.#db.get('SELECT 1 FROM login_failure WHERE key = ?', key) === undefined) return;
    await this.#db.write(() => this.#db.run('DELETE FROM login_failure WHERE key = ?', key), {
      durable: false,
    });
  }
}
