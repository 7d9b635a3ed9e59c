import type { Digest } from '../../oci/digest.ts';
import { repositoryId } from './_repository-row.ts';
import type { Referrer, RegistryListing } from './registry-index.ts';
import type { SqliteDatabase } from './sqlite-database.ts';
import { manifestRecordOf } from './sqlite-manifest-index.ts';

/** Lists what is in SQLite, each page by one range scan of an index. */
export class SqliteListing implements RegistryListing {
  readonly #db: SqliteDatabase;

  constructor(db: SqliteDatabase) {
    this.#db = db;
  }

  async hasRepository(repository: string): Promise<boolean> {
    return repositoryId(this.#db, repository) !== undefined;
  }

  async listTags(repository: string, after: string, limit: number): Promise<string[]> {
    const id = repositoryId(this.#db, repository);
    if (id === undefined) return [];
    // One text for the page: an object for each row takes several times as long. No tag holds a comma.
    const sql = `SELECT group_concat(name, ',' ORDER BY name) AS names FROM
      (SELECT name FROM tag WHERE repository_id = ? AND name > ? ORDER BY name LIMIT ?)`;
    const names = this.#db.get(sql, id, after, limit)?.['names'];
    return typeof names === 'string' ? names.split(',') : [];
  }

  async listRepositories(after: string, limit: number): Promise<string[]> {
    const sql = `SELECT name FROM repository r WHERE name > ?
      AND EXISTS (SELECT 1 FROM manifest m WHERE m.repository_id = r.id) ORDER BY name LIMIT ?`;
    return this.#db.all(sql, after, limit).map((row) => String(row['name']));
  }

  async listReferrers(
    repository: string,
    subject: Digest,
    page: { after: string; limit: number; artifactType?: string },
  ): Promise<Referrer[]> {
    const id = repositoryId(this.#db, repository);
    if (id === undefined) return [];
    const type = page.artifactType ?? null;
    const sql = `SELECT digest, media_type, size, renewed_at, artifact_type, annotations FROM manifest
      WHERE repository_id = ? AND subject = ? AND digest > ? AND (? IS NULL OR artifact_type = ?)
      ORDER BY digest LIMIT ?`;
    return this.#db.all(sql, id, subject, page.after, type, type, page.limit).map((row) => ({
      ...manifestRecordOf(row),
      annotations: JSON.parse(String(row['annotations'])) as Record<string, string>,
      ...(row['artifact_type'] === null ? {} : { artifactType: String(row['artifact_type']) }),
    }));
  }
}
