import type { Clock } from '../../base/clock.ts';
import type { FileStore } from '../../content/file-store.ts';
import type { RegistryMetrics } from '../http/registry-metrics.ts';
import type { ManifestBytes } from '../manifest-bytes.ts';
import type { Metadata } from '../metadata/metadata.ts';
import { UpstreamBlobs } from './upstream-blobs.ts';
import { UpstreamConnections } from './upstream-connections.ts';
import { UpstreamListings } from './upstream-listings.ts';
import { UpstreamManifests } from './upstream-manifests.ts';
import { upstreamOf, type Upstream, type UpstreamRepository } from './upstreams.ts';

export interface PullThroughParts {
  readonly upstreams: readonly Upstream[];
  readonly store: FileStore;
  readonly metadata: Metadata;
  readonly manifestBytes: ManifestBytes;
  readonly metrics: RegistryMetrics;
  readonly clock: Clock;
}

/** Brings content of upstreams here when it is asked for, once, and no more than was asked for. */
export class PullThrough {
  readonly manifests: UpstreamManifests;
  readonly blobs: UpstreamBlobs;
  readonly listings: UpstreamListings;
  readonly #upstreams: readonly Upstream[];
  readonly #connections: UpstreamConnections;

  constructor(parts: PullThroughParts) {
    const { upstreams, clock, metrics } = parts;
    this.#upstreams = upstreams;
    this.#connections = new UpstreamConnections(upstreams, clock, metrics);
    const connected = { ...parts, connections: this.#connections };
    this.manifests = new UpstreamManifests(connected);
    this.blobs = new UpstreamBlobs(connected);
    this.listings = new UpstreamListings(this.#connections, clock);
  }

  /** Returns the upstream repository that a local name stands for. */
  find(repository: string): UpstreamRepository | undefined {
    return upstreamOf(this.#upstreams, repository);
  }

  /** Ends all downloads. */
  async close(): Promise<void> {
    this.#connections.stop();
    await this.blobs.idle();
    await this.#connections.close();
  }
}
