import { randomUUID } from 'node:crypto';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { Collections, type Collection } from './collections.ts';
import { descriptor, descriptors, digests, imageOf, type Row } from './_image-rows.ts';
import { isRunning, ownIdentity } from './_process-identity.ts';
import { prepareSchema } from './_schema.ts';
import { ImageError } from './image-error.ts';
import type { ImageRecord, ImageStore, ImageWithNames, Lease, NameRecord } from './image-store.ts';
import { LayoutIndex } from './layout-index.ts';

/** Fewest hex digits by which an image can be meant (12.15): fewer would match by accident. */
const MIN_PREFIX = 4;

export interface ImageStoreOptions {
  /** Directory of the OCI layout whose `index.json` is to list the names. */
  readonly layout?: string;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Image records in SQLite, with what the collector needs beside. */
export interface SqliteImageStore extends ImageStore {
  /** All names, sorted. */
  names(): Promise<NameRecord[]>;
  /**
   * Lets the layout's `index.json` lag behind removals that `work` makes, and writes it once after them: it lists every name there is, so one
   * for each of many removals takes longer than they do. The records themselves are never behind, and an index that is, after a crash, is
   * written anew when they are opened.
   */
  removingMany<T>(work: () => Promise<T>): Promise<T>;
  /** Begins a collection; several may run. {@link Collection.end} it whatever happens. */
  startCollection(): Collection;
  close(): void;
}

/**
 * Opens the records at `path` (`:memory:` for none on disk), making them when they are not there. Leases of processes that
 * have ended are dropped.
 *
 * @throws ImageError `BAD_STATE`
 */
export async function openImageStore(
  path: string,
  options: ImageStoreOptions = {},
): Promise<SqliteImageStore> {
  let db: DatabaseSync;
  try {
    db = new DatabaseSync(path);
    prepareSchema(db, path);
  } catch (cause) {
    if (cause instanceof ImageError) throw cause;
    throw new ImageError('BAD_STATE', `Cannot open image records "${path}": ${(cause as Error).message}`, {
      cause,
    });
  }
  const store = new SqliteStore(db, options);
  store.dropDeadLeases();
  await store.syncLayout();
  return store;
}

class SqliteStore implements SqliteImageStore {
  readonly #db: DatabaseSync;
  readonly #now: () => number;
  readonly #layout: LayoutIndex | undefined;
  readonly #identity = ownIdentity();
  readonly #collections = new Collections();
  /** What `list` said last: nodes ask every few seconds, and it changes seldom. */
  #listed: { readonly version: string; readonly images: readonly ImageWithNames[] } | undefined;

  /** Passes under way that remove many, and whether one has left the layout behind. */
  #passes = 0;
  #layoutLags = false;

  constructor(db: DatabaseSync, options: ImageStoreOptions) {
    this.#db = db;
    this.#now = options.now ?? Date.now;
    this.#layout = options.layout === undefined ? undefined : new LayoutIndex(options.layout);
  }

  async put(
    image: Omit<ImageRecord, 'createdAt' | 'pinned' | 'lastUsedAt'>,
    names: readonly { name: string; target: Descriptor }[],
  ): Promise<void> {
    const now = this.#now();
    this.#transaction(() => {
      this.#run(
        `INSERT INTO images (id, manifest, config, layers, diff_ids, platform, user, created_at, pin_reason)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET manifest = excluded.manifest, config = excluded.config,
           layers = excluded.layers, diff_ids = excluded.diff_ids, platform = excluded.platform, user = excluded.user`,
        image.id,
        JSON.stringify(image.manifest),
        JSON.stringify(image.config),
        JSON.stringify(image.layers),
        JSON.stringify(image.diffIds),
        image.platform,
        image.user,
        now,
        image.pinReason ?? null,
      );
      for (const { name, target } of names) this.#point(name, image.id, target, now);
    });
    this.#collections.need(
      image.manifest.digest,
      image.config.digest,
      ...image.layers.map(({ digest }) => digest),
    );
    this.#collections.need(...image.diffIds, ...names.map(({ target }) => target.digest));
    await this.syncLayout();
  }

  async find(nameOrId: string): Promise<ImageWithNames | undefined> {
    await Promise.resolve();
    const id = this.#idOf(nameOrId);
    return id === undefined ? undefined : this.#image(id);
  }

  async list(): Promise<ImageWithNames[]> {
    await Promise.resolve();
    const version = this.#version();
    if (this.#listed?.version !== version) this.#listed = { version, images: this.#readAll() };
    return [...this.#listed.images];
  }

  async names(): Promise<NameRecord[]> {
    await Promise.resolve();
    return this.#names();
  }

  async tag(existing: string, name: string): Promise<void> {
    const id = this.#idOf(existing);
    if (id === undefined) throw new ImageError('NOT_FOUND', `Cannot tag "${existing}": no such image`);
    const named = this.#all('SELECT target FROM names WHERE name = ?', existing)[0];
    const image = this.#all('SELECT manifest FROM images WHERE id = ?', id)[0];
    const target = (named?.['target'] ?? image?.['manifest']) as string;
    this.#point(name, id, JSON.parse(target) as Descriptor, this.#now());
    await this.syncLayout();
  }

  async removeName(name: string): Promise<boolean> {
    const removed = this.#transaction(() => {
      const image = this.#all('DELETE FROM names WHERE name = ? RETURNING image', name)[0]?.['image'] as
        | string
        | undefined;
      if (image === undefined) return false;
      this.#run(
        'DELETE FROM images WHERE id = ? AND NOT EXISTS (SELECT 1 FROM names WHERE image = ?)',
        image,
        image,
      );
      return true;
    });
    if (removed) await this.#syncAfterRemoval();
    return removed;
  }

  async removeImage(id: Digest): Promise<boolean> {
    const removed = this.#run('DELETE FROM images WHERE id = ?', id) > 0;
    if (removed) await this.#syncAfterRemoval();
    return removed;
  }

  async removingMany<T>(work: () => Promise<T>): Promise<T> {
    this.#passes++;
    try {
      return await work();
    } finally {
      this.#passes--;
      if (this.#passes === 0 && this.#layoutLags) {
        this.#layoutLags = false;
        await this.syncLayout();
      }
    }
  }

  async pin(id: Digest, reason: string | undefined): Promise<void> {
    await Promise.resolve();
    const changed = this.#run(
      'UPDATE images SET pinned = ?, pin_reason = ? WHERE id = ?',
      reason === undefined ? 0 : 1,
      reason ?? null,
      id,
    );
    if (changed === 0) throw new ImageError('NOT_FOUND', `Cannot pin "${id}": no such image`);
  }

  async touch(id: Digest): Promise<void> {
    await Promise.resolve();
    this.#run('UPDATE images SET last_used_at = ? WHERE id = ?', this.#now(), id);
  }

  async lease(reason: string): Promise<Lease> {
    await Promise.resolve();
    const id = randomUUID();
    this.#run(
      'INSERT INTO leases (id, reason, owner, created_at) VALUES (?, ?, ?, ?)',
      id,
      reason,
      this.#identity,
      this.#now(),
    );
    return {
      id,
      add: async (digest) => {
        this.#run('INSERT OR IGNORE INTO lease_content (lease, digest) VALUES (?, ?)', id, digest);
        this.#collections.need(digest);
        await this.#collections.settled(digest);
      },
      release: async () => {
        await Promise.resolve();
        this.#run('DELETE FROM leases WHERE id = ?', id);
      },
    };
  }

  async roots(): Promise<ReadonlySet<Digest>> {
    await Promise.resolve();
    const roots = new Set<Digest>();
    for (const row of this.#all('SELECT manifest, config, layers, diff_ids FROM images')) {
      roots.add(descriptor(row['manifest']).digest);
      roots.add(descriptor(row['config']).digest);
      for (const layer of descriptors(row['layers'])) roots.add(layer.digest);
      for (const diffId of digests(row['diff_ids'])) roots.add(diffId);
    }
    for (const row of this.#all('SELECT target FROM names')) roots.add(descriptor(row['target']).digest);
    for (const row of this.#all('SELECT digest FROM lease_content')) roots.add(row['digest'] as Digest);
    return roots;
  }

  startCollection(): Collection {
    return this.#collections.start();
  }

  close(): void {
    this.#run('DELETE FROM leases WHERE owner = ?', this.#identity);
    this.#db.close();
  }

  dropDeadLeases(): void {
    for (const row of this.#all('SELECT id, owner FROM leases')) {
      if (!isRunning(row['owner'] as string))
        this.#run('DELETE FROM leases WHERE id = ?', row['id'] as string);
    }
  }

  async syncLayout(): Promise<void> {
    await this.#layout?.update(() => this.#names());
  }

  async #syncAfterRemoval(): Promise<void> {
    if (this.#passes > 0) this.#layoutLags = true;
    else await this.syncLayout();
  }

  #names(): NameRecord[] {
    return this.#all('SELECT name, target, created_at, updated_at FROM names ORDER BY name').map((row) => ({
      name: row['name'] as string,
      target: descriptor(row['target']),
      createdAt: row['created_at'] as number,
      updatedAt: row['updated_at'] as number,
    }));
  }

  #point(name: string, image: Digest, target: Descriptor, now: number): void {
    this.#run(
      `INSERT INTO names (name, image, target, created_at, updated_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (name) DO UPDATE SET image = excluded.image, target = excluded.target, updated_at = excluded.updated_at`,
      name,
      image,
      JSON.stringify(target),
      now,
      now,
    );
  }

  #idOf(nameOrId: string): Digest | undefined {
    const named = this.#all('SELECT image FROM names WHERE name = ?', nameOrId)[0];
    if (named !== undefined) return named['image'] as Digest;
    const prefix = /^(?:sha256:)?([0-9a-f]+)$/.exec(nameOrId)?.[1];
    if (prefix === undefined || prefix.length < MIN_PREFIX) return undefined;
    const from = `sha256:${prefix}`;
    // Behind every hex digit comes "g": the range holds all IDs that begin with the prefix.
    const ids = this.#all('SELECT id FROM images WHERE id >= ? AND id < ? LIMIT 2', from, `${from}g`);
    return ids.length === 1 ? (ids[0]?.['id'] as Digest) : undefined;
  }

  /** Another one after every change, of this connection or of another. */
  #version(): string {
    const [row] = this.#all('SELECT total_changes() AS own, data_version AS others FROM pragma_data_version');
    return `${String(row?.['own'])} ${String(row?.['others'])}`;
  }

  #readAll(): ImageWithNames[] {
    const names = new Map<string, string[]>();
    for (const row of this.#all('SELECT image, name FROM names ORDER BY name')) {
      const image = row['image'] as string;
      const known = names.get(image);
      if (known === undefined) names.set(image, [row['name'] as string]);
      else known.push(row['name'] as string);
    }
    return this.#all('SELECT * FROM images ORDER BY created_at, id').map((row) =>
      imageOf(row, names.get(row['id'] as string) ?? []),
    );
  }

  #image(id: Digest): ImageWithNames | undefined {
    const row = this.#all('SELECT * FROM images WHERE id = ?', id)[0];
    if (row === undefined) return undefined;
    const names = this.#all('SELECT name FROM names WHERE image = ? ORDER BY name', id).map(
      (name) => name['name'] as string,
    );
    return imageOf(row, names);
  }

  #transaction<T>(run: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const result = run();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  #all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#db.prepare(sql).all(...values);
  }

  #run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#db.prepare(sql).run(...values).changes);
  }
}
