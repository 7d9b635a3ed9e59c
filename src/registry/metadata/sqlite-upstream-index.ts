import type { Clock } from '../../base/clock.ts';
import type { Digest } from '../../oci/digest.ts';
import { repositoryId } from './_repository-row.ts';
import type { SqliteDatabase } from './sqlite-database.ts';
import type { UpstreamIndex, UpstreamTag } from './upstream-index.ts';

/** Manifests looked at for one digest: a base layer may be in many, and one is enough. */
const MANIFESTS = 8;
/** How long a tag that an upstream does not have is remembered in the table. */
const FORGET_MS = 7 * 24 * 3_600_000;

/** What a scrub found damaged has to be fetched again. */
const HAS_BYTES = 'digest IN (SELECT b.digest FROM blob b)';

/** Remembers upstreams in SQLite. */
export class SqliteUpstreamIndex implements UpstreamIndex {
  readonly #db: SqliteDatabase;
  readonly #clock: Clock;

  constructor(db: SqliteDatabase, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  async findUpstreamTag(repository: string, tag: string): Promise<UpstreamTag | undefined> {
    const row = this.#db.get('SELECT * FROM upstream_tag WHERE repository = ? AND name = ?', repository, tag);
    if (row === undefined) return undefined;
    const digest = row['digest'] === null ? undefined : (row['digest'] as Digest);
    return { checkedAt: Number(row['checked_at']), digest };
  }

  async setUpstreamTag(repository: string, tag: string, known: UpstreamTag): Promise<void> {
    const sql = `INSERT INTO upstream_tag (repository, name, digest, checked_at) VALUES (?, ?, ?, ?)
      ON CONFLICT (repository, name) DO UPDATE SET digest = excluded.digest, checked_at = excluded.checked_at`;
    await this.#db.write(
      () => {
        const old = 'DELETE FROM upstream_tag WHERE digest IS NULL AND checked_at < ?';
        this.#db.run(old, this.#clock.now() - FORGET_MS);
        this.#db.run(sql, repository, tag, known.digest ?? null, known.checkedAt);
      },
      { durable: false },
    );
  }

  pointTag(repository: string, tag: string, digest: Digest): Promise<boolean> {
    const sql = `INSERT INTO tag (repository_id, name, digest, updated_at)
      SELECT repository_id, ?, digest, ? FROM manifest WHERE repository_id = ? AND digest = ? AND ${HAS_BYTES}
      ON CONFLICT (repository_id, name) DO UPDATE SET digest = excluded.digest, updated_at = excluded.updated_at`;
    return this.#db.write(() => {
      const id = repositoryId(this.#db, repository);
      if (id === undefined) return false;
      // A tag that stays where it is keeps its time: retention counts from its last move.
      const same = `SELECT 1 FROM tag WHERE repository_id = ? AND name = ? AND digest = ? AND ${HAS_BYTES}`;
      if (this.#db.get(same, id, tag, digest) !== undefined) return true;
      return this.#db.run(sql, tag, this.#clock.now(), id, digest) > 0;
    });
  }

  async manifestsNaming(repository: string, digest: Digest): Promise<Digest[]> {
    const id = repositoryId(this.#db, repository);
    if (id === undefined) return [];
    const sql = 'SELECT manifest FROM manifest_reference WHERE repository_id = ? AND target = ? LIMIT ?';
    return this.#db.all(sql, id, digest, MANIFESTS).map((row) => row['manifest'] as Digest);
  }
}
