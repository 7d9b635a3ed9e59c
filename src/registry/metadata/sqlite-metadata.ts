import type { Clock } from '../../base/clock.ts';
import { SqliteAuditLog } from './sqlite-audit-log.ts';
import { SqliteBlobIndex } from './sqlite-blob-index.ts';
import { SqliteCollectionIndex } from './sqlite-collection-index.ts';
import { SqliteDatabase } from './sqlite-database.ts';
import { SqliteLeaseIndex } from './sqlite-lease-index.ts';
import { SqliteListing } from './sqlite-listing.ts';
import { SqliteLoginFailureIndex } from './sqlite-login-failure-index.ts';
import { SqliteManifestIndex } from './sqlite-manifest-index.ts';
import { SqliteProjectIndex } from './sqlite-project-index.ts';
import { SqliteRetentionIndex } from './sqlite-retention-index.ts';
import { SqliteRobotIndex } from './sqlite-robot-index.ts';
import { SqliteTokenIndex } from './sqlite-token-index.ts';
import { SqliteUploadIndex } from './sqlite-upload-index.ts';
import { SqliteUpstreamIndex } from './sqlite-upstream-index.ts';
import { SqliteWebhookIndex } from './sqlite-webhook-index.ts';
import { SqliteUserIndex } from './sqlite-user-index.ts';
import type { Metadata } from './metadata.ts';

/** Opens the metadata of a registry in one SQLite file. */
export function openSqliteMetadata(path: string, clock: Clock): Metadata {
  const db = new SqliteDatabase(path);
  return {
    blobs: new SqliteBlobIndex(db, clock),
    manifests: new SqliteManifestIndex(db, clock),
    listing: new SqliteListing(db),
    uploads: new SqliteUploadIndex(db),
    users: new SqliteUserIndex(db),
    projects: new SqliteProjectIndex(db),
    robots: new SqliteRobotIndex(db, clock),
    tokens: new SqliteTokenIndex(db, clock),
    loginFailures: new SqliteLoginFailureIndex(db, clock),
    collection: new SqliteCollectionIndex(db, clock),
    retention: new SqliteRetentionIndex(db, clock),
    leases: new SqliteLeaseIndex(db, clock),
    upstream: new SqliteUpstreamIndex(db, clock),
    webhooks: new SqliteWebhookIndex(db, clock),
    audit: new SqliteAuditLog(db),
    snapshot: (path) => db.copyTo(path),
    close: () => db.close(),
  };
}
