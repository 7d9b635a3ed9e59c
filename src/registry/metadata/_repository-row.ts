import { projectCandidates } from '../identity/identity.ts';
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
  const sql = 'INSERT INTO repository (name, created_at, project) VALUES (?, ?, ?)';
  db.run(sql, name, now, nearestProject(db, name));
  const made = repositoryId(db, name);
  if (made === undefined) throw new Error(`Cannot make repository "${name}": it is not there afterwards`);
  return made;
}

/** Returns the project that a repository lies in: the one with the longest name that is its path or begins it. */
export function nearestProject(db: SqliteDatabase, repository: string): string | null {
  const sql = `SELECT name FROM project WHERE name IN (SELECT value FROM json_each(?))
    ORDER BY length(name) DESC LIMIT 1`;
  const row = db.get(sql, JSON.stringify(projectCandidates(repository)));
  return row === undefined ? null : String(row['name']);
}

/** Puts the repositories at and below `path` into their projects anew and counts what those use; inside a write only. */
export function reassignProjects(db: SqliteDatabase, path: string): void {
  const below = "SELECT id, name, project FROM repository WHERE name = ? OR name GLOB ? || '/*'";
  for (const row of db.all(below, path, path)) {
    const project = nearestProject(db, String(row['name']));
    if (project === row['project']) continue;
    const links = db.all(
      'SELECT digest, size, renewed_at FROM blob_link WHERE repository_id = ?',
      Number(row['id']),
    );
    // The triggers that count follow the rows, so the links leave one project and enter the other.
    db.run('DELETE FROM blob_link WHERE repository_id = ?', Number(row['id']));
    db.run('UPDATE repository SET project = ? WHERE id = ?', project, Number(row['id']));
    const insert = 'INSERT INTO blob_link (repository_id, digest, size, renewed_at) VALUES (?, ?, ?, ?)';
    for (const { digest, size, renewed_at: at } of links) {
      db.run(insert, Number(row['id']), digest ?? null, size ?? null, at ?? null);
    }
  }
}
