import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ContainerKind } from '../pod-reference.ts';
import type { StartMetrics } from '../start-metrics.ts';
import type { GcReason } from './image-gc-plan.ts';
import {
  IMAGE_METRICS,
  imageManagerMetrics,
  recordStatistics,
  type ImageManagerMetrics,
  type MetricDefinition,
  type MetricSink,
} from './image-metrics.ts';

/** The kubelet's names of the lists in which containers stand. */
const CONTAINER_TYPES: Readonly<Record<ContainerKind, string>> = {
  app: 'container',
  init: 'init_container',
  ephemeral: 'ephemeral_container',
};

type Metric = Counter | Gauge | Histogram;

/** Keeps a node's metrics and prints them in Prometheus' text format, under the kubelet's names (section 14). */
export class NodeMetrics implements MetricSink, StartMetrics {
  readonly #registry = new Registry();
  readonly #metrics = new Map<string, Metric>();
  readonly contentType = this.#registry.contentType;
  /** What the image manager tells. */
  readonly imageManager: ImageManagerMetrics = imageManagerMetrics(this);
  #statistics: (() => Promise<Parameters<typeof recordStatistics>[1]>) | undefined;

  constructor() {
    // A counter without labels says 0 before anything has happened, so that its rise can be seen; one with labels has no line.
    for (const definition of Object.values(IMAGE_METRICS))
      if (definition.type === 'counter' && definition.labels.length === 0) this.#make(definition);
  }

  record(definition: MetricDefinition, labels: Readonly<Record<string, string>>, value: number): void {
    const metric = this.#metrics.get(definition.name) ?? this.#make(definition);
    if (metric instanceof Counter) metric.inc(labels, value);
    else if (metric instanceof Gauge) metric.set(labels, value);
    else metric.observe(labels, value);
  }

  imageCollected(reason: GcReason): void {
    this.record(IMAGE_METRICS.garbageCollected, { reason }, 1);
  }

  podEvicted(signal: string): void {
    this.record(IMAGE_METRICS.evictions, { eviction_signal: signal }, 1);
  }

  /** @param code the waiting reason */
  containerNotStarted(kind: ContainerKind, code: string): void {
    this.record(IMAGE_METRICS.startErrors, { container_type: CONTAINER_TYPES[kind], code }, 1);
  }

  imageVolumesRequested(count: number): void {
    if (count > 0) this.record(IMAGE_METRICS.volumesRequested, {}, count);
  }

  imageVolumeMounted(mounted: boolean): void {
    this.record(mounted ? IMAGE_METRICS.volumesMounted : IMAGE_METRICS.volumesFailed, {}, 1);
  }

  /** One run of a credential-provider plug-in. */
  providerExecuted(provider: string, seconds: number, failed: boolean): void {
    const labels = { plugin_name: provider };
    this.record(IMAGE_METRICS.pluginDuration, labels, seconds);
    if (failed) this.record(IMAGE_METRICS.pluginErrors, labels, 1);
  }

  providersConfigured(hash: string): void {
    this.record(IMAGE_METRICS.pluginConfiguration, { hash }, 1);
  }

  /** Sets where the numbers of pull records come from; asked at each scrape. */
  watchRecords(statistics: () => Promise<Parameters<typeof recordStatistics>[1]>): void {
    this.#statistics = statistics;
  }

  async text(): Promise<string> {
    if (this.#statistics !== undefined) recordStatistics(this, await this.#statistics());
    return await this.#registry.metrics();
  }

  #make(definition: MetricDefinition): Metric {
    const { name, help, labels, buckets, type } = definition;
    const common = { name, help, labelNames: [...labels], registers: [this.#registry] };
    let metric: Metric;
    if (type === 'counter') metric = new Counter(common);
    else if (type === 'gauge') metric = new Gauge(common);
    else metric = new Histogram({ ...common, ...(buckets === undefined ? {} : { buckets: [...buckets] }) });
    this.#metrics.set(name, metric);
    return metric;
  }
}
