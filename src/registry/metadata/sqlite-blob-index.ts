import type { Clock } from '../../base/clock.ts';
import type { Digest } from '../../oci/digest.ts';
import type { BlobIndex, BlobLink } from './registry-index.ts';
import { LONGEST_LEASE_MS } from './collection-index.ts';
import { reservedBytes, storedBytes } from './_project-usage.ts';
import { ensureRepository, repositoryId } from './_repository-row.ts';
import type { SqliteDatabase } from './sqlite-database.ts';

const FIND = `SELECT l.digest, l.size, l.renewed_at FROM blob_link l
  JOIN repository r ON r.id = l.repository_id WHERE r.name = ? AND l.digest = ?`;
const PROTECT = `INSERT INTO blob (digest, renewed_at) VALUES (?, ?)
  ON CONFLICT (digest) DO UPDATE SET renewed_at = excluded.renewed_at`;
const LINK = `INSERT INTO blob_link (repository_id, digest, size, renewed_at) VALUES (?, ?, ?, ?)
  ON CONFLICT (repository_id, digest) DO UPDATE SET size = excluded.size, renewed_at = excluded.renewed_at`;

/** Time within which a collector that lives removes one file, many times over. */
const SWEEP_MS = 60_000;

/** Keeps blobs and their links in SQLite. */
export class SqliteBlobIndex implements BlobIndex {
  readonly #db: SqliteDatabase;
  readonly #clock: Clock;

  constructor(db: SqliteDatabase, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  async findBlob(repository: string, digest: Digest): Promise<BlobLink | undefined> {
    return this.#find(repository, digest);
  }

  async renewBlob(repository: string, digest: Digest): Promise<void> {
    await this.#db.write(
      () => {
        const id = repositoryId(this.#db, repository);
        if (id === undefined) return;
        const sql = 'UPDATE blob_link SET renewed_at = ? WHERE repository_id = ? AND digest = ?';
        this.#db.run(sql, this.#clock.now(), id, digest);
      },
      { durable: false },
    );
  }

  reserveBlob(digest: Digest): Promise<'reserved' | 'sweeping'> {
    return this.#db.write(
      () => {
        if (this.#isBeingSwept(digest)) return 'sweeping';
        this.#db.run('DELETE FROM condemned WHERE digest = ?', digest);
        this.#db.run(PROTECT, digest, this.#clock.now());
        return 'reserved';
      },
      { durable: false },
    );
  }

  linkBlob(repository: string, blob: { digest: Digest; size: number }): Promise<boolean> {
    return this.#db.write(() => {
      if (this.#db.get('SELECT 1 FROM blob WHERE digest = ?', blob.digest) === undefined) return false;
      this.#link(repository, blob.digest, blob.size);
      return true;
    });
  }

  mountBlob(
    from: string,
    to: string,
    digest: Digest,
    limit?: { project: string; quotaBytes: number },
  ): Promise<BlobLink | undefined> {
    return this.#db.write(() => {
      const source = this.#find(from, digest);
      if (source === undefined) return undefined;
      if (limit !== undefined && !this.#hasRoom(limit, digest, source.size)) return undefined;
      this.#link(to, digest, source.size);
      return source;
    });
  }

  unlinkBlob(repository: string, digest: Digest): Promise<'removed' | 'unknown' | 'needed'> {
    return this.#db.write(() => {
      const id = repositoryId(this.#db, repository);
      if (id === undefined || this.#find(repository, digest) === undefined) return 'unknown';
      const needed = 'SELECT 1 FROM manifest_reference WHERE repository_id = ? AND target = ? LIMIT 1';
      if (this.#db.get(needed, id, digest) !== undefined) return 'needed';
      this.#db.run('DELETE FROM blob_link WHERE repository_id = ? AND digest = ?', id, digest);
      this.#db.run(PROTECT, digest, this.#clock.now());
      return 'removed';
    });
  }

  async repositoriesWith(digest: Digest, after: string, limit: number): Promise<string[]> {
    const sql = `SELECT r.name FROM blob_link l JOIN repository r ON r.id = l.repository_id
      WHERE l.digest = ? AND r.name > ? ORDER BY r.name LIMIT ?`;
    return this.#db.all(sql, digest, after, limit).map((row) => String(row['name']));
  }

  /** A sweep that outlived its collector's lease will not end by itself: the collector was killed in the middle. */
  #isBeingSwept(digest: Digest): boolean {
    const condemned = this.#db.get('SELECT sweeping_at FROM condemned WHERE digest = ?', digest);
    if (condemned === undefined || condemned['sweeping_at'] === null) return false;
    const now = this.#clock.now();
    if (Math.abs(now - Number(condemned['sweeping_at'])) < SWEEP_MS) return true;
    const lease = "SELECT 1 FROM lease WHERE name = 'collect' AND until > ? AND until <= ?";
    return this.#db.get(lease, now, now + LONGEST_LEASE_MS) !== undefined;
  }

  #find(repository: string, digest: Digest): BlobLink | undefined {
    const row = this.#db.get(FIND, repository, digest);
    return row && { digest, size: Number(row['size']), renewedAt: Number(row['renewed_at']) };
  }

  #hasRoom(limit: { project: string; quotaBytes: number }, digest: Digest, size: number): boolean {
    const sql = 'SELECT 1 FROM project_blob WHERE project = ? AND digest = ?';
    if (this.#db.get(sql, limit.project, digest) !== undefined) return true;
    const used = storedBytes(this.#db, limit.project) + reservedBytes(this.#db, limit.project, '');
    return used + size <= limit.quotaBytes;
  }

  #link(repository: string, digest: Digest, size: number): void {
    const now = this.#clock.now();
    this.#db.run(PROTECT, digest, now);
    this.#db.run(LINK, ensureRepository(this.#db, repository, now), digest, size, now);
  }
}
