import type { Clock } from '../../base/clock.ts';
import { LONGEST_LEASE_MS, type LeaseIndex } from './collection-index.ts';
import type { SqliteDatabase } from './sqlite-database.ts';

/** Keeps leases in SQLite. */
export class SqliteLeaseIndex implements LeaseIndex {
  readonly #db: SqliteDatabase;
  readonly #clock: Clock;

  constructor(db: SqliteDatabase, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  acquireLease(name: string, holder: string, ttlMs: number): Promise<boolean> {
    const sql = `INSERT INTO lease (name, holder, until) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE
      SET holder = excluded.holder, until = excluded.until WHERE lease.holder = excluded.holder OR lease.until <= ? OR lease.until > ?`;
    return this.#db.write(() => {
      const now = this.#clock.now();
      return this.#db.run(sql, name, holder, now + ttlMs, now, now + LONGEST_LEASE_MS) > 0;
    });
  }

  async releaseLease(name: string, holder: string): Promise<void> {
    await this.#db.write(() => this.#db.run('DELETE FROM lease WHERE name = ? AND holder = ?', name, holder));
  }
}
