import type { UploadIndex, UploadRecord } from './registry-index.ts';
import { reservedBytes, storedBytes } from './_project-usage.ts';
import type { SqliteDatabase, SqlRow } from './sqlite-database.ts';

/** Keeps uploads in SQLite. Not durable: an upload that power loss took is begun again by its client. */
export class SqliteUploadIndex implements UploadIndex {
  readonly #db: SqliteDatabase;

  constructor(db: SqliteDatabase) {
    this.#db = db;
  }

  async createUpload(upload: UploadRecord): Promise<void> {
    const { id, repository, algorithm, account, startedAt } = upload;
    const sql = `INSERT INTO upload (id, repository, algorithm, account, started_at, touched_at)
      VALUES (?1, ?2, ?3, ?4, ?5, ?5)`;
    await this.#db.write(() => this.#db.run(sql, id, repository, algorithm, account, startedAt), {
      durable: false,
    });
  }

  async touchUpload(id: string, at: number): Promise<void> {
    const sql = 'UPDATE upload SET touched_at = ? WHERE id = ?';
    await this.#db.write(() => this.#db.run(sql, at, id), { durable: false });
  }

  async findUpload(id: string): Promise<UploadRecord | undefined> {
    const row = this.#db.get('SELECT * FROM upload WHERE id = ?', id);
    return row && uploadOf(row);
  }

  removeUpload(id: string): Promise<boolean> {
    return this.#db.write(() => this.#db.run('DELETE FROM upload WHERE id = ?', id) > 0, { durable: false });
  }

  reserveUpload(
    id: string,
    project: string,
    bytes: number,
    quotaBytes: number,
  ): Promise<{ used: number } | undefined> {
    return this.#db.write(
      () => {
        const used = storedBytes(this.#db, project) + reservedBytes(this.#db, project, id);
        if (used + bytes > quotaBytes) return { used };
        this.#db.run('UPDATE upload SET project = ?, reserved = ? WHERE id = ?', project, bytes, id);
        return undefined;
      },
      { durable: false },
    );
  }

  async projectBytes(project: string): Promise<number> {
    return storedBytes(this.#db, project);
  }

  async uploadsBefore(before: number, limit: number): Promise<UploadRecord[]> {
    const sql = 'SELECT * FROM upload WHERE touched_at < ? ORDER BY touched_at LIMIT ?';
    return this.#db.all(sql, before, limit).map(uploadOf);
  }
}

function uploadOf(row: SqlRow): UploadRecord {
  return {
    id: String(row['id']),
    repository: String(row['repository']),
    algorithm: String(row['algorithm']),
    account: String(row['account']),
    startedAt: Number(row['started_at']),
    touchedAt: Number(row['touched_at']),
  };
}
