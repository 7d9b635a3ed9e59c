import { MetricsCollection } from '../../observe/metrics.ts';
import type { RegistryRequest } from './request-target.ts';

/** Kinds of requests as metrics know them. */
export type RequestKind = RegistryRequest['kind'] | 'token' | 'other';

/** Seconds; small manifests take a millisecond, large layers minutes. */
const DURATION_BUCKETS = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 300];

/** The registry's metrics, in a collection of their own so that several registries can live in one process. */
export class RegistryMetrics {
  readonly collection = new MetricsCollection();
  readonly #requests = this.collection.counter(
    'drayage_registry_requests_total',
    'Requests answered, by kind and status.',
    ['kind', 'status'],
  );
  readonly #duration = this.collection.histogram(
    'drayage_registry_request_duration_seconds',
    'Time from a request to the last byte of its answer.',
    DURATION_BUCKETS,
    'kind',
  );
  readonly #sent = this.collection.counter('drayage_registry_sent_bytes_total', 'Bytes of bodies sent.');
  readonly #received = this.collection.counter(
    'drayage_registry_received_bytes_total',
    'Bytes of bodies announced by requests.',
  );
  readonly #active = this.collection.gauge(
    'drayage_registry_active_requests',
    'Requests being answered now.',
  );
  readonly #refused = this.collection.counter(
    'drayage_registry_denied_total',
    'Requests refused to somebody who presented a credential.',
  );
  readonly #collected = this.collection.counter(
    'drayage_registry_collected_bytes_total',
    'Bytes that collection freed.',
  );
  readonly #cache = this.collection.counter(
    'drayage_registry_cache_requests_total',
    'Requests to pull-through repositories, by upstream and by whether they were served from the cache.',
    ['upstream', 'result'],
  );
  readonly #fetched = this.collection.counter(
    'drayage_registry_upstream_received_bytes_total',
    'Bytes of blobs that came from an upstream.',
    ['upstream'],
  );
  readonly #upstreamLimit = this.collection.gauge(
    'drayage_registry_upstream_ratelimit_limit',
    'Pulls that an upstream lets through in a window, as it last said.',
    ['upstream'],
  );
  readonly #upstreamRemaining = this.collection.gauge(
    'drayage_registry_upstream_ratelimit_remaining',
    'Pulls that an upstream lets through until the window ends, as it last said.',
    ['upstream'],
  );

  begin(): void {
    this.#active.add(1);
  }

  end(kind: RequestKind, status: number, seconds: number, bytes: { sent: number; received: number }): void {
    this.#active.add(-1);
    this.#requests.add(1, kind, String(status));
    this.#duration.observe(seconds, kind);
    this.#sent.add(bytes.sent);
    this.#received.add(bytes.received);
  }

  denied(): void {
    this.#refused.add(1);
  }

  collected(bytes: number): void {
    this.#collected.add(bytes);
  }

  /** Notes what an upstream said about its limits; what it did not say stays as it was. */
  upstreamLimit(
    upstream: string,
    { limit, remaining }: { limit?: number | undefined; remaining?: number | undefined },
  ): void {
    if (limit !== undefined) this.#upstreamLimit.set(limit, upstream);
    if (remaining !== undefined) this.#upstreamRemaining.set(remaining, upstream);
  }

  upstreamSent(upstream: string, bytes: number): void {
    this.#fetched.add(bytes, upstream);
  }

  cacheAnswered(upstream: string, result: 'hit' | 'miss' | 'stale'): void {
    this.#cache.add(1, upstream, result);
  }
}
