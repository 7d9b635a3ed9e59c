import type { SqliteDatabase } from './sqlite-database.ts';

/** Returns the bytes of a project's blobs, each counted once. */
export function storedBytes(db: SqliteDatabase, project: string): number {
  const row = db.get('SELECT total(bytes) AS bytes FROM project_usage WHERE project = ?', project);
  return Number(row?.['bytes'] ?? 0);
}

/** Returns the bytes promised to a project's uploads, `except` one. */
export function reservedBytes(db: SqliteDatabase, project: string, except: string): number {
  const sql = 'SELECT total(reserved) AS bytes FROM upload WHERE project = ? AND reserved > 0 AND id <> ?';
  return Number(db.get(sql, project, except)?.['bytes'] ?? 0);
}
