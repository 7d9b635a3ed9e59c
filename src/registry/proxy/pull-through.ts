import { randomUUID } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { Limiter } from '../../base/limiter.ts';
import { SingleFlight } from '../../base/single-flight.ts';
import type { FileStore } from '../../content/file-store.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { isDigest, type Digest } from '../../oci/digest.ts';
import { fetchDocument, openBlob } from '../../remote/fetch-content.ts';
import { createRemoteClient, type RemoteClient } from '../../remote/remote-client.ts';
import { RemoteError } from '../../remote/remote-error.ts';
import type { RepositorySession } from '../../remote/repository-session.ts';
import { resolveReference } from '../../remote/resolve.ts';
import { reserveBlob } from '../commit-blob.ts';
import { commitManifest } from '../commit-manifest.ts';
import { blobUnknown } from '../unknown-content.ts';
import type { RegistryMetrics } from '../http/registry-metrics.ts';
import type { ManifestReference } from '../http/request-target.ts';
import type { ManifestBytes } from '../manifest-bytes.ts';
import { parseManifestDocument } from '../manifest-document.ts';
import type { Metadata } from '../metadata/metadata.ts';
import { RegistryError } from '../registry-error.ts';
import { BlobFlight } from './blob-flight.ts';
import { mayServeStale, staleWarning, upstreamFailure } from './upstream-failure.ts';
import {
  upstreamCredential,
  upstreamHosts,
  upstreamOf,
  type Upstream,
  type UpstreamRepository,
} from './upstreams.ts';

/** How long a tag is believed. */
const RECHECK_MS = 60_000;
/** How long a tag that the upstream does not have is believed missing. */
const MISSING_MS = 10_000;
/** Longest wait for an upstream's word on a tag before what is here is served. */
const RESOLVE_TIMEOUT_MS = 15_000;
/** Downloads from upstreams at a time. */
const DOWNLOADS = 16;
/** Largest manifest taken from an upstream, as from clients. */
const MANIFEST_LIMIT = 4 * 1024 * 1024;

export interface PullThroughParts {
  readonly upstreams: readonly Upstream[];
  readonly store: FileStore;
  readonly metadata: Metadata;
  readonly manifestBytes: ManifestBytes;
  readonly metrics: RegistryMetrics;
  readonly clock: Clock;
}

/** Headers that an answer from the cache gets. */
export type CacheHeaders = Readonly<Record<string, string>>;

/** Brings content of upstreams here when it is asked for, once, and no more than was asked for. */
export class PullThrough {
  readonly #parts: PullThroughParts;
  readonly #client: RemoteClient;
  readonly #stop = new AbortController();
  readonly #manifests = new SingleFlight<string, CacheHeaders>();
  readonly #opening = new SingleFlight<string, BlobFlight>();
  readonly #flights = new Map<string, BlobFlight>();
  readonly #downloads = new Limiter(DOWNLOADS);

  constructor(parts: PullThroughParts) {
    this.#parts = parts;
    const hosts = upstreamHosts(parts.upstreams);
    this.#client = createRemoteClient({ hosts, clock: parts.clock, userAgent: 'drayage-registry' });
  }

  /** Returns the upstream repository that a local name stands for. */
  find(repository: string): UpstreamRepository | undefined {
    return upstreamOf(this.#parts.upstreams, repository);
  }

  /**
   * Makes sure that a manifest is here as far as it can be had, and returns headers that belong to the answer.
   *
   * @throws RegistryError when neither the upstream nor the cache has it
   */
  manifest(target: UpstreamRepository, reference: ManifestReference): Promise<CacheHeaders> {
    const key = `${target.local} ${reference.by === 'tag' ? reference.tag : reference.digest}`;
    return this.#manifests.do(key, () =>
      reference.by === 'tag' ? this.#tag(target, reference.tag) : this.#digest(target, reference.digest),
    );
  }

  /**
   * Returns the descriptor of a blob that some manifest here names; undefined for one that is here already, or that nothing
   * names.
   */
  async absentBlob(target: UpstreamRepository, digest: Digest): Promise<Descriptor | undefined> {
    const { metadata, manifestBytes, metrics } = this.#parts;
    if ((await metadata.blobs.findBlob(target.local, digest)) !== undefined) {
      metrics.cacheAnswered(target.upstream.prefix, 'hit');
      return undefined;
    }
    for (const manifest of await metadata.upstream.manifestsNaming(target.local, digest)) {
      const document = JSON.parse(Buffer.from(await manifestBytes.read(manifest)).toString()) as {
        config?: Descriptor;
        layers?: readonly Descriptor[];
        blobs?: readonly Descriptor[];
      };
      const { config, layers = [], blobs = [] } = document;
      const found = [config, ...layers, ...blobs].find((descriptor) => descriptor?.digest === digest);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Joins or starts the download of a blob. The bytes are stored even when nobody reads them any more. */
  async blob(target: UpstreamRepository, descriptor: Descriptor): Promise<BlobFlight> {
    const key = `${target.local} ${descriptor.digest}`;
    const flying = this.#flights.get(key);
    if (flying?.failed === false) return flying;
    return this.#opening.do(key, async () => {
      // One that failed still holds the ingest for a moment.
      await flying?.done.catch(() => {});
      this.#parts.metrics.cacheAnswered(target.upstream.prefix, 'miss');
      const flight = await this.#startFlight(target, descriptor);
      this.#flights.set(key, flight);
      const forget = (): void => {
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
      };
      flight.done.then(forget, forget);
      return flight;
    });
  }

  /** Ends all downloads. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('the registry closes'));
    await Promise.allSettled([...this.#flights.values()].map((flight) => flight.done));
    await this.#client.close();
  }

  async #startFlight(target: UpstreamRepository, descriptor: Descriptor): Promise<BlobFlight> {
    const { store, metadata, clock } = this.#parts;
    const { digest, size } = descriptor;
    // Another process may fetch the same: each has a file of its own, and one of them is kept.
    const ingest = await store.openExternalIngest(`upstream/${target.local}@${digest} ${randomUUID()}`);
    const session = this.#session(target);
    return new BlobFlight({
      digest,
      size,
      ingest,
      signal: this.#stop.signal,
      openStored: (range) => store.open(digest, range),
      open: (offset, signal) =>
        this.#downloads
          .run(() => openBlob(session, descriptor, { offset }, signal), signal)
          .catch((error: unknown) => {
            if (!(error instanceof RemoteError)) throw error;
            if (error.code === 'NOT_FOUND') throw blobUnknown(digest, error);
            throw upstreamFailure(target.upstream.registry, error);
          }),
      reserve: () => reserveBlob({ blobs: metadata.blobs, clock }, digest),
      link: async () => {
        if (await metadata.blobs.linkBlob(target.local, { digest, size })) return;
        throw new RegistryError('UNAVAILABLE', 'content was collected while it was stored', {
          retryable: true,
        });
      },
    });
  }

  async #digest(target: UpstreamRepository, digest: Digest): Promise<CacheHeaders> {
    const { prefix, registry } = target.upstream;
    if ((await this.#parts.metadata.manifests.findManifest(target.local, { digest })) !== undefined) {
      this.#parts.metrics.cacheAnswered(prefix, 'hit');
      return {};
    }
    this.#parts.metrics.cacheAnswered(prefix, 'miss');
    try {
      const session = this.#session(target);
      const name = `${registry}/${target.remote}@${digest}`;
      const { descriptor } = await resolveReference(session, { digest }, name, this.#stop.signal);
      await this.#fetch(target, session, descriptor, []);
      return {};
    } catch (error) {
      if (error instanceof RemoteError) throw upstreamFailure(registry, error);
      throw error;
    }
  }

  async #tag(target: UpstreamRepository, tag: string): Promise<CacheHeaders> {
    const { metadata, metrics, clock } = this.#parts;
    const { prefix, registry, recheckMs = RECHECK_MS } = target.upstream;
    const known = await metadata.upstream.findUpstreamTag(target.local, tag);
    const age = known === undefined ? Infinity : clock.now() - known.checkedAt;
    const here = await metadata.manifests.findManifest(target.local, { tag });
    if (here !== undefined && age < recheckMs) {
      metrics.cacheAnswered(prefix, 'hit');
      return {};
    }
    // The handler that follows finds nothing and says so.
    if (here === undefined && known !== undefined && known.digest === undefined && age < MISSING_MS)
      return {};
    try {
      const digest = await this.#refresh(target, tag);
      metrics.cacheAnswered(prefix, digest === here?.digest ? 'hit' : 'miss');
      return {};
    } catch (error) {
      if (error instanceof RemoteError && error.code === 'NOT_FOUND') {
        await metadata.upstream.setUpstreamTag(target.local, tag, {
          checkedAt: clock.now(),
          digest: undefined,
        });
        await metadata.manifests.deleteTag(target.local, tag, () => ({
          mayMove: true,
          mayDelete: true,
          mayRecreate: true,
        }));
        return {};
      }
      if (here !== undefined && mayServeStale(error)) {
        metrics.cacheAnswered(prefix, 'stale');
        return staleWarning(registry, error);
      }
      if (error instanceof RemoteError) throw upstreamFailure(registry, error);
      throw error;
    }
  }

  /** Asks the upstream what a tag points at, by HEAD where it can, and brings that here unless it is. */
  async #refresh(target: UpstreamRepository, tag: string): Promise<Digest> {
    const { metadata, clock } = this.#parts;
    const session = this.#session(target);
    const name = `${target.upstream.registry}/${target.remote}:${tag}`;
    const timeout = AbortSignal.timeout(RESOLVE_TIMEOUT_MS);
    const signal = AbortSignal.any([this.#stop.signal, timeout]);
    const { descriptor } = await resolveReference(session, { tag }, name, signal).catch((error: unknown) => {
      if (timeout.aborted)
        throw new RemoteError('TIMEOUT', `no answer within ${RESOLVE_TIMEOUT_MS / 1000} s`);
      throw error;
    });
    if (!(await metadata.upstream.pointTag(target.local, tag, descriptor.digest))) {
      await this.#fetch(target, session, descriptor, [tag]);
    }
    const { digest } = descriptor;
    await metadata.upstream.setUpstreamTag(target.local, tag, { checkedAt: clock.now(), digest });
    return digest;
  }

  async #fetch(
    target: UpstreamRepository,
    session: RepositorySession,
    descriptor: Descriptor,
    tags: readonly string[],
  ): Promise<void> {
    const bytes = await fetchDocument(session, descriptor, MANIFEST_LIMIT, this.#stop.signal);
    const facts = parseManifestDocument(bytes, descriptor.mediaType);
    if (!isDigest(descriptor.digest)) throw new Error('Cannot store a manifest: it has no digest');
    await commitManifest(this.#parts, bytes, {
      ...facts,
      repository: target.local,
      digest: descriptor.digest,
      size: bytes.length,
      tags,
      account: `upstream ${target.upstream.registry}`,
      sparse: true,
      lazy: true,
      protection: () => ({ mayMove: true, mayDelete: true, mayRecreate: true }),
    });
  }

  #session(target: UpstreamRepository): RepositorySession {
    const credential = upstreamCredential(target.upstream);
    const credentials = async (): Promise<typeof credential> => credential;
    return this.#client.repository(target.upstream.prefix, target.remote, { credentials });
  }
}
