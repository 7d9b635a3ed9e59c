import { LruMap } from '../base/lru-map.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Row, StoreDatabase } from './_store-database.ts';
import {
  StoredRow,
  StoreError,
  type Change,
  type ObjectKey,
  type StoreList,
  type StoreListOptions,
} from './stored-object.ts';

/** Texts looked for in one statement; the rest of a long selector is left to whoever looks at the objects. */
const MAX_CONTAINING = 4;

/** Rows kept, since each write asks for its namespace, its ServiceAccount and the like again; */
const KEPT_ROWS = 256;
/** longer ones are not. */
const KEPT_ROW_LENGTH = 16 * 1024;

/** Which numbers the store has now. */
export interface StoreBounds {
  /** Of the newest change. */
  readonly revision: number;
  /** Of the newest change that was forgotten. */
  readonly compacted: number;
}

/** Everything that is asked of the database of objects without changing it. */
export class StoreReader {
  readonly #db: StoreDatabase;
  readonly #kept = new LruMap<string, StoredRow>(KEPT_ROWS);

  constructor(db: StoreDatabase) {
    this.#db = db;
  }

  get(key: ObjectKey): StoredRow | undefined {
    const kept = this.#kept.get(textOfKey(key));
    if (kept !== undefined) return kept;
    const row = this.#db
      .prepare(
        `SELECT revision, body FROM versions JOIN bodies USING (revision)
       WHERE resource = ? AND namespace = ? AND name = ? AND superseded IS NULL AND type <> 'DELETED'`,
      )
      .get(key.resource, key.namespace, key.name) as Row | undefined;
    if (row === undefined) return undefined;
    const found = stored(key, row);
    if (found.body.length <= KEPT_ROW_LENGTH) this.#kept.set(textOfKey(key), found);
    return found;
  }

  /** Has the next `get` of a key look at the database, since what it holds has changed. */
  forget(key: ObjectKey): void {
    this.#kept.delete(textOfKey(key));
  }

  /** Returns the number of the current state; undefined when there is none. */
  currentRevision(key: ObjectKey): number | undefined {
    const row = this.#db
      .prepare(
        `SELECT revision FROM versions
       WHERE resource = ? AND namespace = ? AND name = ? AND superseded IS NULL AND type <> 'DELETED'`,
      )
      .get(key.resource, key.namespace, key.name) as Row | undefined;
    return row === undefined ? undefined : Number(row['revision']);
  }

  /** @throws StoreError `EXPIRED` when the history no longer reaches back to the wanted revision */
  list(resource: string, options: StoreListOptions, bounds: StoreBounds): StoreList {
    const at = options.revision;
    if (at !== undefined && at < bounds.compacted) {
      throw new StoreError(
        'EXPIRED',
        `Cannot list ${resource} at ${at}: history begins at ${bounds.compacted}`,
      );
    }
    const where = ['resource = ?', "type <> 'DELETED'"];
    const values: (string | number)[] = [resource];
    if (at === undefined || at === bounds.revision) where.push('superseded IS NULL');
    else {
      where.push('revision <= ?', '(superseded IS NULL OR superseded > ?)');
      values.push(at, at);
    }
    if (options.namespace !== undefined) {
      where.push('namespace = ?');
      values.push(options.namespace);
    }
    if (options.after !== undefined) {
      where.push('(namespace, name) > (?, ?)');
      values.push(options.after.namespace, options.after.name);
    }
    const containing = (options.containing ?? []).slice(0, MAX_CONTAINING);
    const tables = containing.length === 0 ? 'versions' : 'versions JOIN bodies USING (revision)';
    for (const text of containing) {
      where.push('instr(body, ?) > 0');
      values.push(text);
    }
    const condition = where.join(' AND ');
    const limit = options.limit !== undefined && options.limit > 0 ? options.limit : undefined;
    const rows = this.#db
      .prepare(
        `SELECT revision, namespace, name, body FROM versions JOIN bodies USING (revision)
       WHERE ${condition} ORDER BY namespace, name LIMIT ?`,
      )
      .all(...values, limit ?? -1) as Row[];
    let remaining = 0;
    if (limit !== undefined && rows.length === limit) {
      remaining =
        this.#db.number(`SELECT count(*) AS n FROM ${tables} WHERE ${condition}`, ...values) - rows.length;
    }
    const items = rows.map((row) =>
      stored({ resource, namespace: String(row['namespace']), name: String(row['name']) }, row),
    );
    return { items, revision: at ?? bounds.revision, remaining };
  }

  /**
   * Returns at most `limit` changes of a resource after `revision`, oldest first.
   *
   * @throws StoreError `EXPIRED` when some of them were forgotten
   */
  changesAfter(resource: string, revision: number, limit: number, bounds: StoreBounds): Change[] {
    if (revision < bounds.compacted) {
      throw new StoreError('EXPIRED', `Cannot replay ${resource} after ${revision}: history begins later`);
    }
    const rows = this.#db
      .prepare(
        `SELECT v.revision, v.namespace, v.name, v.type, b.body, p.body AS before
       FROM versions v JOIN bodies b ON b.revision = v.revision LEFT JOIN bodies p ON p.revision = v.previous
       WHERE v.resource = ? AND v.revision > ? ORDER BY v.revision LIMIT ?`,
      )
      .all(resource, revision, limit) as Row[];
    return rows.map((row) => {
      const key = { resource, namespace: String(row['namespace']), name: String(row['name']) };
      const before = row['before'];
      const { revision: at, object } = stored(key, row);
      const change = { key, revision: at, object, type: String(row['type']) as Change['type'] };
      if (typeof before !== 'string') return change;
      return { ...change, previous: JSON.parse(before) as KubeObject };
    });
  }

  /** Returns keys of current objects of a resource last written before `at` (milliseconds), oldest first, at most `limit`. */
  writtenBefore(resource: string, at: number, limit: number): ObjectKey[] {
    const rows = this.#db
      .prepare(
        `SELECT namespace, name FROM versions
       WHERE resource = ? AND superseded IS NULL AND type <> 'DELETED' AND at < ? ORDER BY revision LIMIT ?`,
      )
      .all(resource, at, limit) as Row[];
    return rows.map((row) => ({
      resource,
      namespace: String(row['namespace']),
      name: String(row['name']),
    }));
  }

  /** Counts what is stored, by resource. */
  counts(): Map<string, number> {
    const rows = this.#db
      .prepare(
        `SELECT resource, count(*) AS n FROM versions
       WHERE superseded IS NULL AND type <> 'DELETED' GROUP BY resource`,
      )
      .all() as Row[];
    return new Map(rows.map((row) => [String(row['resource']), Number(row['n'])]));
  }
}

function textOfKey({ resource, namespace, name }: ObjectKey): string {
  return `${resource}/${namespace}/${name}`;
}

function stored(key: ObjectKey, row: Row): StoredRow {
  return new StoredRow(key, Number(row['revision']), String(row['body']));
}
