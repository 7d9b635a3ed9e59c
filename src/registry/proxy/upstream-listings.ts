import type { Clock } from '../../base/clock.ts';
import { LruMap } from '../../base/lru-map.ts';
import { SingleFlight } from '../../base/single-flight.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { isDigest, type Digest } from '../../oci/digest.ts';
import { listTags } from '../../remote/list-tags.ts';
import { listReferrers } from '../../remote/referrers.ts';
import { RemoteError } from '../../remote/remote-error.ts';
import { isTag } from '../repository-name.ts';
import type { UpstreamConnections } from './upstream-connections.ts';
import { listingWarning } from './upstream-failure.ts';
import { RECHECK_MS, type CacheHeaders } from './upstream-manifests.ts';
import type { UpstreamRepository } from './upstreams.ts';

/** Listings of tags kept: ten thousand short names each at most. */
const TAG_LISTINGS = 32;
/** Listings of referrers kept: mostly empty or a handful. */
const REFERRER_LISTINGS = 1_000;

/** What an upstream lists, and headers that belong to the answer. */
export interface Listing<T> {
  /** Empty when the upstream could not be asked. */
  readonly items: readonly T[];
  readonly headers: CacheHeaders;
}

interface Kept<T> {
  readonly at: number;
  readonly items: readonly T[];
}

/** Asks upstreams for tags and referrers, and remembers the answers for as long as a tag is believed. */
export class UpstreamListings {
  readonly #connections: UpstreamConnections;
  readonly #clock: Clock;
  readonly #tags = new LruMap<string, Kept<string>>(TAG_LISTINGS);
  readonly #referrers = new LruMap<string, Kept<Descriptor>>(REFERRER_LISTINGS);
  readonly #flights = new SingleFlight<string, Listing<unknown>>();

  constructor(connections: UpstreamConnections, clock: Clock) {
    this.#connections = connections;
    this.#clock = clock;
  }

  /** Lists the tags of an upstream's repository, ten thousand at most. */
  tags(target: UpstreamRepository): Promise<Listing<string>> {
    return this.#list(this.#tags, target, 'tags', async (signal) => {
      const found = await listTags(this.#connections.session(target), signal);
      return [...new Set(found)].filter(isTag);
    });
  }

  /** Lists what refers to a manifest of an upstream's repository. */
  referrers(target: UpstreamRepository, subject: Digest): Promise<Listing<Descriptor>> {
    return this.#list(this.#referrers, target, `referrers ${subject}`, async (signal) => {
      const found = await listReferrers(this.#connections.session(target), subject, undefined, signal);
      return found.filter(({ digest }) => isDigest(digest));
    });
  }

  #list<T>(
    kept: LruMap<string, Kept<T>>,
    target: UpstreamRepository,
    what: string,
    ask: (signal: AbortSignal) => Promise<readonly T[]>,
  ): Promise<Listing<T>> {
    const key = `${target.local} ${what}`;
    const run = async (): Promise<Listing<T>> => {
      const known = kept.get(key);
      const age = this.#clock.now() - (known?.at ?? Number.POSITIVE_INFINITY);
      const { recheckMs = RECHECK_MS, registry } = target.upstream;
      if (known !== undefined && age >= 0 && age < recheckMs) return { items: known.items, headers: {} };
      try {
        const items = await this.#connections.withinTime(ask);
        kept.set(key, { at: this.#clock.now(), items });
        return { items, headers: this.#connections.limits(target) };
      } catch (error) {
        if (!(error instanceof RemoteError)) throw error;
        const headers = this.#connections.limits(target);
        if (error.code === 'NOT_FOUND') return { items: [], headers };
        return { items: known?.items ?? [], headers: { ...headers, ...listingWarning(registry, error) } };
      }
    };
    return this.#flights.do(key, run) as Promise<Listing<T>>;
  }
}
