import type { Clock } from '../../base/clock.ts';
import { LruMap } from '../../base/lru-map.ts';
import { SingleFlight } from '../../base/single-flight.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { isDigest, type Digest } from '../../oci/digest.ts';
import { fetchDocument } from '../../remote/fetch-content.ts';
import { RemoteError } from '../../remote/remote-error.ts';
import type { RepositorySession } from '../../remote/repository-session.ts';
import { resolveReference } from '../../remote/resolve.ts';
import { commitManifest } from '../commit-manifest.ts';
import type { RegistryMetrics } from '../http/registry-metrics.ts';
import type { ManifestReference } from '../http/request-target.ts';
import type { ManifestBytes } from '../manifest-bytes.ts';
import { parseManifestDocument, type ManifestFacts } from '../manifest-document.ts';
import type { Metadata } from '../metadata/metadata.ts';
import { RegistryError } from '../registry-error.ts';
import type { UpstreamConnections } from './upstream-connections.ts';
import { isOutage, mayServeStale, staleWarning, upstreamFailure } from './upstream-failure.ts';
import type { UpstreamRepository } from './upstreams.ts';

/** How long a tag is believed. */
export const RECHECK_MS = 60_000;
/** How long a tag that the upstream does not have is believed missing. */
const MISSING_MS = 10_000;
/** How long an upstream that failed is left alone while there is something to serve in its place. */
const REST_MS = 10_000;
/** And at most, when it said for how long itself. */
const LONGEST_REST_MS = 60_000;
/** Largest manifest taken from an upstream, as from clients. */
const MANIFEST_LIMIT = 4 * 1024 * 1024;
/** Upstreams whose trouble is remembered. */
const UPSTREAMS = 1_000;

/** Headers that an answer from the cache gets. */
export type CacheHeaders = Readonly<Record<string, string>>;

export interface UpstreamManifestsParts {
  readonly metadata: Metadata;
  readonly manifestBytes: ManifestBytes;
  readonly metrics: RegistryMetrics;
  readonly clock: Clock;
  readonly connections: UpstreamConnections;
}

/** Brings manifests here, and follows tags: a digest is asked for once, a tag once in a while. */
export class UpstreamManifests {
  readonly #parts: UpstreamManifestsParts;
  readonly #flights = new SingleFlight<string, CacheHeaders>();
  readonly #troubles = new LruMap<string, { since: number; until: number; error: RemoteError }>(UPSTREAMS);

  constructor(parts: UpstreamManifestsParts) {
    this.#parts = parts;
  }

  /**
   * Makes sure that a manifest is here as far as it can be had, and returns headers that belong to the answer.
   *
   * @throws RegistryError when neither the upstream nor the cache has it
   */
  bring(target: UpstreamRepository, reference: ManifestReference): Promise<CacheHeaders> {
    const key = `${target.local} ${reference.by === 'tag' ? reference.tag : reference.digest}`;
    return this.#flights.do(key, () =>
      reference.by === 'tag' ? this.#tag(target, reference.tag) : this.#digest(target, reference.digest),
    );
  }

  async #digest(target: UpstreamRepository, digest: Digest): Promise<CacheHeaders> {
    const { metadata, metrics, connections } = this.#parts;
    const { prefix, registry } = target.upstream;
    if ((await metadata.manifests.findManifest(target.local, { digest })) !== undefined) {
      metrics.cacheAnswered(prefix, 'hit');
      return {};
    }
    metrics.cacheAnswered(prefix, 'miss');
    try {
      const session = connections.session(target);
      const name = `${registry}/${target.remote}@${digest}`;
      await connections.withinTime(async (signal) => {
        const { descriptor } = await resolveReference(session, { digest }, name, signal);
        await this.#fetch(target, session, descriptor, [], signal);
      });
      return connections.limits(target);
    } catch (error) {
      throw this.#failure(target, error);
    }
  }

  async #tag(target: UpstreamRepository, tag: string): Promise<CacheHeaders> {
    const { metadata, metrics, clock, connections } = this.#parts;
    const { prefix, recheckMs = RECHECK_MS } = target.upstream;
    const known = await metadata.upstream.findUpstreamTag(target.local, tag);
    const here = await metadata.manifests.findManifest(target.local, { tag });
    // A check of the future was made before the clock was set back, and counts for nothing.
    const age = clock.now() - (known?.checkedAt ?? Number.POSITIVE_INFINITY);
    const isWithin = (limit: number): boolean => age >= 0 && age < limit;
    if (here !== undefined && isWithin(recheckMs)) {
      metrics.cacheAnswered(prefix, 'hit');
      return {};
    }
    // The handler that follows finds nothing and says so.
    if (here === undefined && known !== undefined && known.digest === undefined && isWithin(MISSING_MS))
      return {};
    const trouble = this.#troubleOf(prefix);
    if (here !== undefined && trouble !== undefined) return this.#stale(target, trouble);
    try {
      const digest = await this.#refresh(target, tag);
      metrics.cacheAnswered(prefix, digest === here?.digest ? 'hit' : 'miss');
      return connections.limits(target);
    } catch (error) {
      if (error instanceof RemoteError && error.code === 'NOT_FOUND') {
        await this.#forget(target, tag);
        return connections.limits(target);
      }
      if (isOutage(error)) this.#rest(prefix, error);
      if (here !== undefined && mayServeStale(error)) return this.#stale(target, error);
      throw this.#failure(target, error);
    }
  }

  #stale(target: UpstreamRepository, error: RemoteError): CacheHeaders {
    const { metrics, connections } = this.#parts;
    const { prefix, registry } = target.upstream;
    metrics.cacheAnswered(prefix, 'stale');
    return { ...connections.limits(target), ...staleWarning(registry, error) };
  }

  #failure(target: UpstreamRepository, error: unknown): unknown {
    if (!(error instanceof RemoteError)) return error;
    return upstreamFailure(target.upstream.registry, error, this.#parts.connections.limits(target));
  }

  #rest(prefix: string, error: RemoteError): void {
    const since = this.#parts.clock.now();
    const until = since + Math.min(error.retryAfterMs ?? REST_MS, LONGEST_REST_MS);
    this.#troubles.set(prefix, { since, until, error });
  }

  #troubleOf(prefix: string): RemoteError | undefined {
    const trouble = this.#troubles.get(prefix);
    const now = this.#parts.clock.now();
    return trouble !== undefined && trouble.since <= now && now < trouble.until ? trouble.error : undefined;
  }

  /** The upstream has such a tag no longer, so neither have we. */
  async #forget(target: UpstreamRepository, tag: string): Promise<void> {
    const { metadata, clock } = this.#parts;
    const missing = { checkedAt: clock.now(), digest: undefined };
    await metadata.upstream.setUpstreamTag(target.local, tag, missing);
    const free = { mayMove: true, mayDelete: true, mayRecreate: true };
    await metadata.manifests.deleteTag(target.local, tag, () => free);
  }

  /** Asks the upstream what a tag points at, by HEAD where it can, and brings that here unless it is. */
  async #refresh(target: UpstreamRepository, tag: string): Promise<Digest> {
    const { metadata, clock, connections } = this.#parts;
    const session = connections.session(target);
    const name = `${target.upstream.registry}/${target.remote}:${tag}`;
    const digest = await connections.withinTime(async (signal) => {
      const { descriptor } = await resolveReference(session, { tag }, name, signal);
      if (!(await metadata.upstream.pointTag(target.local, tag, descriptor.digest))) {
        await this.#fetch(target, session, descriptor, [tag], signal);
      }
      return descriptor.digest;
    });
    await metadata.upstream.setUpstreamTag(target.local, tag, { checkedAt: clock.now(), digest });
    this.#troubles.delete(target.upstream.prefix);
    return digest;
  }

  async #fetch(
    target: UpstreamRepository,
    session: RepositorySession,
    descriptor: Descriptor,
    tags: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const bytes = await fetchDocument(session, descriptor, MANIFEST_LIMIT, signal);
    const facts = readManifest(bytes, descriptor.mediaType);
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
}

/** Reads a manifest as those of clients are read; one that is none is the upstream's fault, not our client's. */
function readManifest(bytes: Uint8Array, mediaType: string): ManifestFacts {
  try {
    return parseManifestDocument(bytes, mediaType);
  } catch (cause) {
    if (!(cause instanceof RegistryError)) throw cause;
    throw new RemoteError('BAD_RESPONSE', cause.message, { cause });
  }
}
