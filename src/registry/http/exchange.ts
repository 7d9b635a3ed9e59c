import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../observe/logger.ts';
import type { Rights } from '../identity/rights.ts';
import type { ManifestBytes } from '../manifest-bytes.ts';
import type { Metadata } from '../metadata/metadata.ts';
import type { PullThrough } from '../proxy/pull-through.ts';
import type { Upstream } from '../proxy/upstreams.ts';
import type { UploadSessions } from '../upload-sessions.ts';
import type { RegistryEvent } from '../webhooks/registry-event.ts';
import type { BlobReader } from './blob-reader.ts';
import type { RequestTrail } from './request-trail.ts';
import type { Caller } from './caller.ts';

/** What handlers work with; made once. */
export interface Service {
  readonly blobReader: BlobReader;
  readonly metadata: Metadata;
  readonly manifestBytes: ManifestBytes;
  readonly uploads: UploadSessions;
  readonly rights: Rights;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether an index may name manifests that are not here. */
  readonly sparseIndexes: boolean;
  /** Whether anything can be deleted over HTTP. */
  readonly deletes: boolean;
  /** Tells webhooks what happened. */
  readonly notify: (event: RegistryEvent) => Promise<void>;
  /** Repositories of upstreams; absent where there are none. */
  readonly cache?: { readonly pullThrough: PullThrough; readonly upstreams: readonly Upstream[] };
  /** Age at which a blob that a client was told of is protected anew. */
  readonly renewAfterMs: number;
}

/** One request with who sent it. Handlers read its headers and its body, never its URL. */
export interface Exchange {
  readonly message: IncomingMessage;
  readonly caller: Caller;
  readonly trail: RequestTrail;
}
