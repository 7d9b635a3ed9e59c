import type { Digest } from '../../oci/digest.ts';
import type { TagProtection } from '../policy.ts';
import type { SqliteDatabase } from './sqlite-database.ts';

/** Notes what a tag pointed at that goes and may not come back with other content. Inside a write only. */
export function rememberTag(
  db: SqliteDatabase,
  repositoryId: number,
  tag: { readonly name: string; readonly digest: Digest },
  { mayRecreate }: TagProtection,
): void {
  if (mayRecreate) return;
  const sql = 'INSERT INTO tag_past (repository_id, name, digest) VALUES (?, ?, ?) ON CONFLICT DO NOTHING';
  db.run(sql, repositoryId, tag.name, tag.digest);
}
