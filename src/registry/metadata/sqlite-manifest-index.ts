import type { Clock } from '../../base/clock.ts';
import type { Digest } from '../../oci/digest.ts';
import { renewReferences } from './_renew-references.ts';
import { ensureRepository, repositoryId } from './_repository-row.ts';
import { rememberTag } from './_tag-past.ts';
import type { TagProtection } from '../policy.ts';
import type {
  DeleteManifestResult,
  ManifestIndex,
  ManifestKey,
  ManifestRecord,
  NewManifest,
  PutManifestResult,
} from './registry-index.ts';
import type { SqliteDatabase, SqlRow } from './sqlite-database.ts';

// Bytes that a scrub found damaged are not expected any more: without them there is no manifest, until it is pushed again.
const BYTES = 'JOIN blob b ON b.digest = m.digest';
const BY_TAG = `SELECT m.digest, m.media_type, m.size, m.renewed_at FROM tag t
  JOIN repository r ON r.id = t.repository_id
  JOIN manifest m ON m.repository_id = t.repository_id AND m.digest = t.digest ${BYTES}
  WHERE r.name = ? AND t.name = ?`;
const BY_DIGEST = `SELECT m.digest, m.media_type, m.size, m.renewed_at FROM manifest m
  JOIN repository r ON r.id = m.repository_id ${BYTES} WHERE r.name = ? AND m.digest = ?`;
const INSERT = `INSERT INTO manifest
  (repository_id, digest, media_type, size, subject, artifact_type, annotations, pushed_at, pushed_by, renewed_at)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (repository_id, digest) DO UPDATE SET renewed_at = excluded.renewed_at`;
const SET_TAG = `INSERT INTO tag (repository_id, name, digest, updated_at) VALUES (?, ?, ?, ?)
  ON CONFLICT (repository_id, name) DO UPDATE SET digest = excluded.digest, updated_at = excluded.updated_at`;

/** Keeps manifests and tags in SQLite. */
export class SqliteManifestIndex implements ManifestIndex {
  readonly #db: SqliteDatabase;
  readonly #clock: Clock;

  constructor(db: SqliteDatabase, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  async findManifest(repository: string, key: ManifestKey): Promise<ManifestRecord | undefined> {
    const row =
      'tag' in key
        ? this.#db.getAgain(BY_TAG, repository, key.tag)
        : this.#db.getAgain(BY_DIGEST, repository, key.digest);
    return row && manifestRecordOf(row);
  }

  async renewManifest(repository: string, digest: Digest): Promise<void> {
    await this.#db.write(
      () => {
        const id = repositoryId(this.#db, repository);
        if (id === undefined) return;
        const sql = 'UPDATE manifest SET renewed_at = ? WHERE repository_id = ? AND digest = ?';
        this.#db.run(sql, this.#clock.now(), id, digest);
      },
      { durable: false },
    );
  }

  putManifest(manifest: NewManifest): Promise<PutManifestResult> {
    return this.#db.write((): PutManifestResult => {
      const now = this.#clock.now();
      const reserved = 'SELECT 1 FROM blob WHERE digest = ?';
      if (this.#db.get(reserved, manifest.digest) === undefined) return { kind: 'unreserved' };
      const known = repositoryId(this.#db, manifest.repository);
      const required = manifest.lazy === true ? [] : manifest.blobs;
      const missing = required.filter((digest) => !this.#has(known, 'blob_link', digest));
      const absent = manifest.manifests.filter((digest) => !this.#has(known, 'manifest', digest));
      if (!manifest.sparse) missing.push(...absent);
      if (missing.length > 0) return { kind: 'missing', digests: missing };
      const fixed = this.#fixedTag(known, manifest);
      if (fixed !== undefined) return fixed;
      const id = known ?? ensureRepository(this.#db, manifest.repository, now);
      this.#insert(id, manifest, now);
      for (const tag of manifest.tags) this.#db.run(SET_TAG, id, tag, manifest.digest, now);
      return { kind: 'stored', absent };
    });
  }

  deleteManifest(
    repository: string,
    digest: Digest,
    protection: (tag: string) => TagProtection,
  ): Promise<DeleteManifestResult> {
    return this.#db.write((): DeleteManifestResult => {
      const id = repositoryId(this.#db, repository);
      if (id === undefined || !this.#has(id, 'manifest', digest)) return { kind: 'unknown' };
      const tags = this.#db
        .all('SELECT name FROM tag WHERE repository_id = ? AND digest = ? ORDER BY name', id, digest)
        .map((row) => String(row['name']));
      const fixed = tags.find((tag) => !protection(tag).mayDelete);
      if (fixed !== undefined) return { kind: 'fixed', tag: fixed };
      for (const name of tags) rememberTag(this.#db, id, { name, digest }, protection(name));
      renewReferences(this.#db, id, digest, this.#clock.now());
      this.#db.run('DELETE FROM manifest WHERE repository_id = ? AND digest = ?', id, digest);
      return { kind: 'removed', tags };
    });
  }

  deleteTag(
    repository: string,
    tag: string,
    protection: (tag: string) => TagProtection,
  ): Promise<DeleteManifestResult> {
    return this.#db.write((): DeleteManifestResult => {
      const id = repositoryId(this.#db, repository);
      const digest = id === undefined ? undefined : this.#digestOfTag(id, tag);
      if (id === undefined || digest === undefined) return { kind: 'unknown' };
      if (!protection(tag).mayDelete) return { kind: 'fixed', tag };
      rememberTag(this.#db, id, { name: tag, digest }, protection(tag));
      this.#db.run('DELETE FROM tag WHERE repository_id = ? AND name = ?', id, tag);
      return { kind: 'removed', tags: [tag] };
    });
  }

  deleteRepository(repository: string): Promise<boolean> {
    return this.#db.write(() => {
      const id = repositoryId(this.#db, repository);
      if (id === undefined) return false;
      this.#db.run('DELETE FROM upload WHERE repository = ?', repository);
      const renew = `UPDATE blob SET renewed_at = ? WHERE digest IN (
        SELECT digest FROM blob_link WHERE repository_id = ?
        UNION SELECT digest FROM manifest WHERE repository_id = ?)`;
      this.#db.run(renew, this.#clock.now(), id, id);
      // The links go first, while it is known which project they were counted for.
      this.#db.run('DELETE FROM blob_link WHERE repository_id = ?', id);
      return this.#db.run('DELETE FROM repository WHERE id = ?', id) > 0;
    });
  }

  /** Returns the first of a manifest's new tags that may not point at it. */
  #fixedTag(id: number | undefined, manifest: NewManifest): PutManifestResult | undefined {
    if (id === undefined) return undefined;
    for (const tag of manifest.tags) {
      const { mayMove, mayRecreate } = manifest.protection(tag);
      const now = this.#digestOfTag(id, tag);
      if (now !== undefined && now !== manifest.digest && !mayMove)
        return { kind: 'fixed', tag, digest: now };
      if (now !== undefined || mayRecreate) continue;
      const row = this.#db.get('SELECT digest FROM tag_past WHERE repository_id = ? AND name = ?', id, tag);
      const past = row?.['digest'] as Digest | undefined;
      if (past !== undefined && past !== manifest.digest) return { kind: 'fixed', tag, digest: past };
    }
    return undefined;
  }

  #digestOfTag(id: number, tag: string): Digest | undefined {
    const row = this.#db.get('SELECT digest FROM tag WHERE repository_id = ? AND name = ?', id, tag);
    return row?.['digest'] as Digest | undefined;
  }

  #has(id: number | undefined, table: 'blob_link' | 'manifest', digest: Digest): boolean {
    if (id === undefined) return false;
    const sql = `SELECT 1 FROM ${table} WHERE repository_id = ? AND digest = ?`;
    return this.#db.get(sql, id, digest) !== undefined;
  }

  #insert(id: number, manifest: NewManifest, now: number): void {
    const { digest, mediaType, size, subject, artifactType, annotations, account } = manifest;
    const known = this.#has(id, 'manifest', digest);
    this.#db.run(
      INSERT,
      id,
      digest,
      mediaType,
      size,
      subject ?? null,
      artifactType ?? null,
      JSON.stringify(annotations),
      now,
      account,
      now,
    );
    if (known) return;
    const sql = 'INSERT INTO manifest_reference (repository_id, manifest, target, kind) VALUES (?, ?, ?, ?)';
    for (const target of manifest.blobs) this.#db.run(sql, id, digest, target, 'b');
    for (const target of manifest.manifests) this.#db.run(sql, id, digest, target, 'm');
  }
}

/** Reads the columns `digest`, `media_type`, `size` and `renewed_at`. */
export function manifestRecordOf(row: SqlRow): ManifestRecord {
  return {
    digest: row['digest'] as Digest,
    mediaType: String(row['media_type']),
    size: Number(row['size']),
    renewedAt: Number(row['renewed_at']),
  };
}
