import type { Digest } from '../../oci/digest.ts';
import type { SqliteDatabase } from './sqlite-database.ts';

/**
 * Puts off the collection of what a manifest needs, and of its own bytes, as its removal is what makes them unneeded: the
 * delay counts from there. Inside a write only.
 */
export function renewReferences(
  db: SqliteDatabase,
  repositoryId: number,
  manifest: Digest,
  now: number,
): void {
  const links = `UPDATE blob_link SET renewed_at = ? WHERE repository_id = ?
    AND digest IN (SELECT target FROM manifest_reference WHERE repository_id = ? AND manifest = ? AND kind = 'b')`;
  db.run(links, now, repositoryId, repositoryId, manifest);
  db.run('UPDATE blob SET renewed_at = ? WHERE digest = ?', now, manifest);
}
