import type { DatabaseSync } from 'node:sqlite';
import { ImageError } from './image-error.ts';

/** Version of the tables below, kept in `PRAGMA user_version`. */
const VERSION = 1;

const TABLES = `
  CREATE TABLE images (
    id TEXT PRIMARY KEY,
    manifest TEXT NOT NULL,
    config TEXT NOT NULL,
    layers TEXT NOT NULL,
    diff_ids TEXT NOT NULL,
    platform TEXT NOT NULL,
    user TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER,
    pinned INTEGER NOT NULL DEFAULT 0,
    pin_reason TEXT
  ) STRICT;
  CREATE TABLE names (
    name TEXT PRIMARY KEY,
    image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    target TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX names_image ON names (image);
  CREATE TABLE leases (
    id TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    owner TEXT NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE lease_content (
    lease TEXT NOT NULL REFERENCES leases (id) ON DELETE CASCADE,
    digest TEXT NOT NULL,
    PRIMARY KEY (lease, digest)
  ) STRICT, WITHOUT ROWID;
`;

/** Prepares a connection and its tables. @throws ImageError `BAD_STATE` for tables of a newer version */
export function prepareSchema(db: DatabaseSync, path: string): void {
  db.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000',
  );
  const version = db.prepare('PRAGMA user_version').get()?.['user_version'];
  if (version === VERSION) return;
  if (version !== 0) {
    throw new ImageError(
      'BAD_STATE',
      `Cannot open image records "${path}": they have version ${String(version)}, this program knows ${VERSION}`,
    );
  }
  db.exec(`BEGIN IMMEDIATE; ${TABLES} PRAGMA user_version = ${VERSION}; COMMIT`);
}
