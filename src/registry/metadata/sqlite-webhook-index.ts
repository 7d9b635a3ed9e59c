import type { Clock } from '../../base/clock.ts';
import type { SqliteDatabase } from './sqlite-database.ts';
import type { WebhookDelivery, WebhookIndex } from './webhook-index.ts';

/** What is due later than anything is put off was put off before the clock was set back. */
const LONGEST_DELAY_MS = 2 * 3_600_000;

/** Keeps notifications in SQLite. */
export class SqliteWebhookIndex implements WebhookIndex {
  readonly #db: SqliteDatabase;
  readonly #clock: Clock;

  constructor(db: SqliteDatabase, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  async addDeliveries(hooks: readonly string[], body: string, limit: number): Promise<void> {
    const add =
      'INSERT INTO webhook_delivery (hook, body, attempts, created_at, due_at) VALUES (?, ?, 0, ?, ?)';
    const trim = `DELETE FROM webhook_delivery WHERE hook = ? AND id <= (
      SELECT id FROM webhook_delivery WHERE hook = ? ORDER BY id DESC LIMIT 1 OFFSET ?)`;
    await this.#db.write(
      () => {
        for (const hook of hooks) {
          this.#db.run(add, hook, body, this.#clock.now(), this.#clock.now());
          this.#db.run(trim, hook, hook, limit);
        }
      },
      { durable: false },
    );
  }

  takeDeliveries(limit: number, leaseMs: number): Promise<WebhookDelivery[]> {
    return this.#db.write(
      () => {
        const now = this.#clock.now();
        const sql =
          'SELECT * FROM webhook_delivery WHERE due_at <= ? OR due_at > ? ORDER BY due_at, id LIMIT ?';
        const rows = this.#db.all(sql, now, now + LONGEST_DELAY_MS, limit);
        const lease = 'UPDATE webhook_delivery SET due_at = ?, attempts = attempts + 1 WHERE id = ?';
        for (const row of rows) this.#db.run(lease, now + leaseMs, Number(row['id']));
        return rows.map((row) => ({
          id: Number(row['id']),
          hook: String(row['hook']),
          body: String(row['body']),
          attempts: Number(row['attempts']) + 1,
          createdAt: Number(row['created_at']),
        }));
      },
      { durable: false },
    );
  }

  async nextDelivery(): Promise<number | undefined> {
    const row = this.#db.get('SELECT min(due_at) AS due FROM webhook_delivery');
    const due = row?.['due'];
    return due === null || due === undefined ? undefined : Number(due);
  }

  async postponeDelivery(id: number, until: number): Promise<void> {
    const sql = 'UPDATE webhook_delivery SET due_at = ? WHERE id = ?';
    await this.#db.write(() => this.#db.run(sql, until, id), { durable: false });
  }

  async removeDelivery(id: number): Promise<void> {
    await this.#db.write(() => this.#db.run('DELETE FROM webhook_delivery WHERE id = ?', id), {
      durable: false,
    });
  }
}
