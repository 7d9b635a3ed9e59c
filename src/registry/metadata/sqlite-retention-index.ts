import type { Clock } from '../../base/clock.ts';
import type { Digest } from '../../oci/digest.ts';
import type { TagProtection } from '../policy.ts';
import { renewReferences } from './_renew-references.ts';
import { repositoryId } from './_repository-row.ts';
import { rememberTag } from './_tag-past.ts';
import type { RetainedManifest, RetentionIndex, TagRecord } from './collection-index.ts';
import type { ManifestRecord } from './registry-index.ts';
import type { SqliteDatabase } from './sqlite-database.ts';
import { manifestRecordOf } from './sqlite-manifest-index.ts';

/** Retires tags and manifests in SQLite. */
export class SqliteRetentionIndex implements RetentionIndex {
  readonly #db: SqliteDatabase;
  readonly #clock: Clock;

  constructor(db: SqliteDatabase, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  async repositoriesOf(project: string): Promise<string[]> {
    const sql = 'SELECT name FROM repository WHERE project = ? ORDER BY name';
    return this.#db.all(sql, project).map((row) => String(row['name']));
  }

  async tagsOf(repository: string): Promise<TagRecord[]> {
    const id = repositoryId(this.#db, repository);
    if (id === undefined) return [];
    return this.#db.all('SELECT * FROM tag WHERE repository_id = ? ORDER BY name', id).map((row) => ({
      name: String(row['name']),
      digest: row['digest'] as Digest,
      updatedAt: Number(row['updated_at']),
    }));
  }

  async manifestsOf(repository: string): Promise<RetainedManifest[]> {
    const id = repositoryId(this.#db, repository);
    if (id === undefined) return [];
    const children = new Map<string, Digest[]>();
    const sql = "SELECT manifest, target FROM manifest_reference WHERE repository_id = ? AND kind = 'm'";
    for (const row of this.#db.all(sql, id)) {
      const parent = String(row['manifest']);
      children.set(parent, [...(children.get(parent) ?? []), row['target'] as Digest]);
    }
    return this.#db.all('SELECT * FROM manifest WHERE repository_id = ? ORDER BY digest', id).map((row) => ({
      ...manifestRecordOf(row),
      ...(row['subject'] === null ? {} : { subject: row['subject'] as Digest }),
      children: children.get(String(row['digest'])) ?? [],
    }));
  }

  retireTag(repository: string, tag: TagRecord, protection: TagProtection): Promise<boolean> {
    const sql = 'DELETE FROM tag WHERE repository_id = ? AND name = ? AND digest = ? AND updated_at = ?';
    return this.#db.write(() => {
      const id = repositoryId(this.#db, repository);
      if (id === undefined || this.#db.run(sql, id, tag.name, tag.digest, tag.updatedAt) === 0) return false;
      rememberTag(this.#db, id, tag, protection);
      return true;
    });
  }

  retireManifest(repository: string, manifest: ManifestRecord): Promise<boolean> {
    const sql = `DELETE FROM manifest WHERE repository_id = ?1 AND digest = ?2 AND renewed_at = ?3
      AND NOT EXISTS (SELECT 1 FROM tag WHERE repository_id = ?1 AND digest = ?2)
      AND NOT EXISTS (SELECT 1 FROM manifest_reference WHERE repository_id = ?1 AND target = ?2)`;
    return this.#db.write(() => {
      const id = repositoryId(this.#db, repository);
      if (id === undefined) return false;
      renewReferences(this.#db, id, manifest.digest, this.#clock.now());
      return this.#db.run(sql, id, manifest.digest, manifest.renewedAt) > 0;
    });
  }
}
