import { Counter, Gauge, Histogram, Registry as MetricsRegistry } from 'prom-client';
import type { RegistryRequest } from './request-target.ts';

/** Kinds of requests as metrics know them. */
export type RequestKind = RegistryRequest['kind'] | 'token' | 'other';

/** Seconds; small manifests take a millisecond, large layers minutes. */
const DURATION_BUCKETS = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 300];

/** The registry's metrics, in a collection of their own so that several registries can live in one process. */
export class RegistryMetrics {
  readonly collection = new MetricsRegistry();
  readonly #requests = new Counter({
    name: 'drayage_registry_requests_total',
    help: 'Requests answered, by kind and status.',
    labelNames: ['kind', 'status'],
    registers: [this.collection],
  });
  readonly #duration = new Histogram({
    name: 'drayage_registry_request_duration_seconds',
    help: 'Time from a request to the last byte of its answer.',
    labelNames: ['kind'],
    buckets: DURATION_BUCKETS,
    registers: [this.collection],
  });
  readonly #sent = new Counter({
    name: 'drayage_registry_sent_bytes_total',
    help: 'Bytes of bodies sent.',
    registers: [this.collection],
  });
  readonly #received = new Counter({
    name: 'drayage_registry_received_bytes_total',
    help: 'Bytes of bodies announced by requests.',
    registers: [this.collection],
  });
  readonly #active = new Gauge({
    name: 'drayage_registry_active_requests',
    help: 'Requests being answered now.',
    registers: [this.collection],
  });
  readonly #refused = new Counter({
    name: 'drayage_registry_denied_total',
    help: 'Requests refused to somebody who presented a credential.',
    registers: [this.collection],
  });
  readonly #collected = new Counter({
    name: 'drayage_registry_collected_bytes_total',
    help: 'Bytes that collection freed.',
    registers: [this.collection],
  });
  readonly #cache = new Counter({
    name: 'drayage_registry_cache_requests_total',
    help: 'Requests to pull-through repositories, by upstream and by whether they were served from the cache.',
    labelNames: ['upstream', 'result'],
    registers: [this.collection],
  });

  begin(): void {
    this.#active.inc();
  }

  end(kind: RequestKind, status: number, seconds: number, bytes: { sent: number; received: number }): void {
    this.#active.dec();
    this.#requests.inc({ kind, status: String(status) });
    this.#duration.observe({ kind }, seconds);
    this.#sent.inc(bytes.sent);
    this.#received.inc(bytes.received);
  }

  denied(): void {
    this.#refused.inc();
  }

  collected(bytes: number): void {
    this.#collected.inc(bytes);
  }

  cacheAnswered(upstream: string, result: 'hit' | 'miss' | 'stale'): void {
    this.#cache.inc({ upstream, result });
  }
}
