import type { Clock } from '../../base/clock.ts';
import type { Digest } from '../../oci/digest.ts';
import type { CollectionIndex, Step, StepResult } from './collection-index.ts';
import type { SqliteDatabase, SqlRow } from './sqlite-database.ts';

const UNNEEDED_LINK = `l.renewed_at < ? AND NOT EXISTS (
  SELECT 1 FROM manifest_reference f WHERE f.repository_id = l.repository_id AND f.target = l.digest)`;
const UNNAMED_BLOB = `b.renewed_at < ?
  AND NOT EXISTS (SELECT 1 FROM blob_link l WHERE l.digest = b.digest)
  AND NOT EXISTS (SELECT 1 FROM manifest m WHERE m.digest = b.digest)`;

/** Collects in SQLite. */
export class SqliteCollectionIndex implements CollectionIndex {
  readonly #db: SqliteDatabase;
  readonly #clock: Clock;

  constructor(db: SqliteDatabase, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  expireLinks(before: number, step: Step): Promise<StepResult> {
    const [repository = -1, after = ''] = (step.cursor ?? '-1 ').split(' ');
    const find = `SELECT l.repository_id, l.digest, (${UNNEEDED_LINK}) AS unneeded FROM blob_link l
      WHERE (l.repository_id, l.digest) > (?, ?) ORDER BY l.repository_id, l.digest LIMIT ?`;
    const remove = 'DELETE FROM blob_link WHERE repository_id = ? AND digest = ?';
    return this.#db.write(() => {
      const rows = this.#db.all(find, before, Number(repository), after, step.rows);
      const unneeded = rows.filter((row) => row['unneeded'] === 1);
      for (const row of unneeded) this.#db.run(remove, Number(row['repository_id']), digestOf(row));
      const last = rows.length < step.rows ? undefined : rows.at(-1);
      return { count: unneeded.length, cursor: last && `${String(last['repository_id'])} ${digestOf(last)}` };
    });
  }

  condemnBlobs(before: number, step: Step): Promise<StepResult> {
    const find = `SELECT b.digest, (${UNNAMED_BLOB}) AS unnamed FROM blob b WHERE b.digest > ?
      ORDER BY b.digest LIMIT ?`;
    return this.#db.write(() => {
      const rows = this.#db.all(find, before, step.cursor ?? '', step.rows);
      const unnamed = rows.filter((row) => row['unnamed'] === 1).map(digestOf);
      for (const digest of unnamed) {
        this.#db.run('DELETE FROM blob WHERE digest = ?', digest);
        this.#condemn(digest);
      }
      return { count: unnamed.length, cursor: endOf(rows, step) };
    });
  }

  async condemned(limit: number): Promise<Digest[]> {
    const sql = 'SELECT digest FROM condemned ORDER BY sweeping_at IS NULL, since LIMIT ?';
    return this.#db.all(sql, limit).map(digestOf);
  }

  beginSweep(digest: Digest): Promise<boolean> {
    const sql = 'UPDATE condemned SET sweeping_at = ? WHERE digest = ?';
    return this.#db.write(() => this.#db.run(sql, this.#clock.now(), digest) > 0);
  }

  async endSweep(digest: Digest): Promise<void> {
    await this.#db.write(() => this.#db.run('DELETE FROM condemned WHERE digest = ?', digest));
  }

  condemnOrphan(digest: Digest): Promise<boolean> {
    return this.#db.write(() => {
      if (this.#db.get('SELECT 1 FROM blob WHERE digest = ?', digest) !== undefined) return false;
      this.#condemn(digest);
      return true;
    });
  }

  async collectable(before: number, step: Step): Promise<StepResult & { digests: Digest[] }> {
    // A blob goes when each of its links would, and it has none that stays.
    const sql = `SELECT b.digest, (b.renewed_at < ?
      AND NOT EXISTS (SELECT 1 FROM manifest m WHERE m.digest = b.digest)
      AND NOT EXISTS (SELECT 1 FROM blob_link l WHERE l.digest = b.digest AND NOT (${UNNEEDED_LINK}))) AS goes
      FROM blob b WHERE b.digest > ? ORDER BY b.digest LIMIT ?`;
    const rows = this.#db.all(sql, before, before, step.cursor ?? '', step.rows);
    const digests = rows.filter((row) => row['goes'] === 1).map(digestOf);
    return { digests, count: digests.length, cursor: endOf(rows, step) };
  }

  removeEmptyRepositories(before: number): Promise<number> {
    const sql = `DELETE FROM repository WHERE created_at < ?
      AND NOT EXISTS (SELECT 1 FROM blob_link l WHERE l.repository_id = repository.id)
      AND NOT EXISTS (SELECT 1 FROM manifest m WHERE m.repository_id = repository.id)
      AND NOT EXISTS (SELECT 1 FROM tag_past p WHERE p.repository_id = repository.id)
      AND NOT EXISTS (SELECT 1 FROM upload u WHERE u.repository = repository.name)`;
    return this.#db.write(() => this.#db.run(sql, before));
  }

  forgetBlob(digest: Digest, until: number): Promise<string[]> {
    return this.#db.write(() => {
      const sql = `SELECT name FROM repository WHERE id IN (
        SELECT repository_id FROM blob_link WHERE digest = ?1 AND renewed_at <= ?2
        UNION SELECT repository_id FROM manifest WHERE digest = ?1 AND renewed_at <= ?2) ORDER BY name`;
      const names = this.#db.all(sql, digest, until).map((row) => String(row['name']));
      this.#db.run('DELETE FROM blob_link WHERE digest = ? AND renewed_at <= ?', digest, until);
      const unlinked = 'NOT EXISTS (SELECT 1 FROM blob_link l WHERE l.digest = blob.digest)';
      this.#db.run(`DELETE FROM blob WHERE digest = ? AND renewed_at <= ? AND ${unlinked}`, digest, until);
      return names;
    });
  }

  async expectedBlobs(after: string, limit: number): Promise<Digest[]> {
    // A digest that is only reserved may have no bytes yet.
    const sql = `SELECT digest FROM blob b WHERE digest > ? AND (
        EXISTS (SELECT 1 FROM blob_link l WHERE l.digest = b.digest)
        OR EXISTS (SELECT 1 FROM manifest m WHERE m.digest = b.digest)) ORDER BY digest LIMIT ?`;
    return this.#db.all(sql, after, limit).map(digestOf);
  }

  #condemn(digest: Digest): void {
    const sql = 'INSERT INTO condemned (digest, since) VALUES (?, ?) ON CONFLICT DO NOTHING';
    this.#db.run(sql, digest, this.#clock.now());
  }
}

function digestOf(row: SqlRow): Digest {
  return row['digest'] as Digest;
}

function endOf(rows: readonly SqlRow[], step: Step): string | undefined {
  const last = rows.length < step.rows ? undefined : rows.at(-1);
  return last && digestOf(last);
}
