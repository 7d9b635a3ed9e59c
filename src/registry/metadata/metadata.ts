import type { CollectionIndex, LeaseIndex, RetentionIndex } from './collection-index.ts';
import type { AuditLog } from './audit-log.ts';
import type { LoginFailureIndex, ProjectIndex, TokenIndex, UserIndex } from './identity-index.ts';
import type { UpstreamIndex } from './upstream-index.ts';
import type { WebhookIndex } from './webhook-index.ts';
import type { RobotIndex } from './robot-index.ts';
import type { BlobIndex, ManifestIndex, RegistryListing, UploadIndex } from './registry-index.ts';

/** Everything a registry keeps beside bytes, opened together. */
export interface Metadata {
  readonly blobs: BlobIndex;
  readonly manifests: ManifestIndex;
  readonly listing: RegistryListing;
  readonly uploads: UploadIndex;
  readonly users: UserIndex;
  readonly projects: ProjectIndex;
  readonly robots: RobotIndex;
  readonly tokens: TokenIndex;
  readonly loginFailures: LoginFailureIndex;
  readonly upstream: UpstreamIndex;
  readonly webhooks: WebhookIndex;
  readonly audit: AuditLog;
  readonly collection: CollectionIndex;
  readonly retention: RetentionIndex;
  readonly leases: LeaseIndex;
  /** Writes a consistent copy to a file that is not there, while it is in use. */
  snapshot(path: string): Promise<void>;
  /** Finishes what was asked for and closes. */
  close(): void;
}
