import type { SqliteDatabase } from './sqlite-database.ts';

/** Returns the row number of a repository. */
export function repositoryId(db: SqliteDatabase, name: string): number | undefined {
  const row = db.get('SELECT id FROM repository WHERE name = ?', name);
  return row === undefined ? undefined : Number(row['id']);
}

/** Returns the row number of a repository, making it when it is not there; inside a write only. */
export function ensureRepository(db: SqliteDatabase, name: string, now: number): number {
  const known = repositoryId(db, name);
  if (known !== undefined) return known;
  db.run('INSERT INTO repository (name, created_at) VALUES (?, ?)', name, now);
  const made = repositoryId(db, name);
  if (made === undefined) throw new Error(`Cannot make repository "${name}": it is not there afterwards`);
  return made;
}
