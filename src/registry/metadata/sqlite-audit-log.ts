import type { AuditEntry, AuditFilter, AuditLog } from './audit-log.ts';
import type { SqliteDatabase, SqlRow } from './sqlite-database.ts';

/** Longest text kept in one column: names are shorter, and a stranger chooses some of it. */
const TEXT_LIMIT = 1_024;

/** Keeps the audit log in SQLite. */
export class SqliteAuditLog implements AuditLog {
  readonly #db: SqliteDatabase;

  constructor(db: SqliteDatabase) {
    this.#db = db;
  }

  async record(entry: AuditEntry): Promise<void> {
    const sql = `INSERT INTO audit (at, account, address, action, target, outcome, detail, request)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`;
    const { at, account, address, action, target, outcome, detail, request } = entry;
    const texts = [account, address, action, target, outcome, detail, request];
    await this.#db.write(() => this.#db.run(sql, at, ...texts.map((text) => text.slice(0, TEXT_LIMIT))), {
      durable: false,
    });
  }

  async list(filter: AuditFilter, limit: number): Promise<AuditEntry[]> {
    const { account = null, outcome = null, since = 0 } = filter;
    const sql = `SELECT * FROM audit WHERE at >= ? AND (? IS NULL OR account = ?) AND (? IS NULL OR outcome = ?)
      ORDER BY at DESC, id DESC LIMIT ?`;
    return this.#db.all(sql, since, account, account, outcome, outcome, limit).map(entryOf);
  }

  prune(before: number): Promise<number> {
    return this.#db.write(() => this.#db.run('DELETE FROM audit WHERE at < ?', before), { durable: false });
  }
}

function entryOf(row: SqlRow): AuditEntry {
  return {
    at: Number(row['at']),
    account: String(row['account']),
    address: String(row['address']),
    action: String(row['action']),
    target: String(row['target']),
    outcome: row['outcome'] === 'denied' ? 'denied' : 'done',
    detail: String(row['detail']),
    request: String(row['request']),
  };
}
