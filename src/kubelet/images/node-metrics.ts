import { METRICS_TYPE, MetricsCollection } from '../../observe/metrics.ts';
import type { PullMetrics } from '../../pull/pull-metrics.ts';
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
import { pullMetrics, RUNTIME_METRICS, withPresent } from './pull-metrics.ts';

/** The kubelet's names of the lists in which containers stand. */
const CONTAINER_TYPES: Readonly<Record<ContainerKind, string>> = {
  app: 'container',
  init: 'init_container',
  ephemeral: 'ephemeral_container',
};

/** Counts a value of a metric, for label values in the order of its definition. */
type Count = (value: number, labels: readonly string[]) => void;

/** Keeps a node's metrics and prints them in Prometheus' text format: the kubelet's and containerd's under their names, and this program's own (section 14). */
export class NodeMetrics implements MetricSink, StartMetrics {
  readonly #collection = new MetricsCollection();
  /** By name of the metric; one that has labels is made when it is first counted, so that it is not told before. */
  readonly #counts = new Map<string, Count>();
  readonly contentType = METRICS_TYPE;
  /** What the image manager tells. */
  readonly imageManager: ImageManagerMetrics = withPresent(imageManagerMetrics(this), this);
  #pulls: PullMetrics | undefined;
  #statistics: (() => Promise<Parameters<typeof recordStatistics>[1]>) | undefined;

  constructor() {
    this.#declare(IMAGE_METRICS);
  }

  record(definition: MetricDefinition, labels: Readonly<Record<string, string>>, value: number): void {
    const count = this.#counts.get(definition.name) ?? this.#make(definition);
    count(
      value,
      definition.labels.map((name) => labels[name] ?? ''),
    );
  }

  /** What a node's own puller tells; a node that pulls elsewhere does not tell these metrics. */
  get pulls(): PullMetrics {
    if (this.#pulls !== undefined) return this.#pulls;
    this.#declare(RUNTIME_METRICS);
    this.#pulls = pullMetrics(this);
    return this.#pulls;
  }

  imageCollected(reason: GcReason): void {
    this.record(IMAGE_METRICS.garbageCollected, { reason }, 1);
  }

  podEvicted(signal: string): void {
    this.record(IMAGE_METRICS.evictions, { eviction_signal: signal }, 1);
  }

  /** @param code the waiting reason */
  containerNotStarted(kind: ContainerKind, code: string): void {
    // Errors of credentials and records are reasons as they stand (rule 4.12): there is no end of them.
    const known = /^[A-Za-z]+$/.test(code) ? code : 'Unknown';
    this.record(IMAGE_METRICS.startErrors, { code: known, container_type: CONTAINER_TYPES[kind] }, 1);
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
    return this.#collection.text();
  }

  /** What has no labels says 0 before anything has happened, so that its rise can be seen; what has some has no line. */
  #declare(definitions: Readonly<Record<string, MetricDefinition>>): void {
    for (const definition of Object.values(definitions))
      if (definition.type !== 'gauge' && definition.labels.length === 0) this.#make(definition);
  }

  #make(definition: MetricDefinition): Count {
    const count = this.#counterOf(definition);
    this.#counts.set(definition.name, count);
    return count;
  }

  #counterOf(definition: MetricDefinition): Count {
    const { name, help } = definition;
    if (definition.type === 'histogram') {
      const [label] = definition.labels;
      const histogram = this.#collection.histogram(name, help, definition.buckets, label);
      return (value, [labelValue]) => histogram.observe(value, labelValue);
    }
    if (definition.type === 'gauge') {
      const gauge = this.#collection.gauge(name, help, definition.labels);
      return (value, labels) => gauge.set(value, ...labels);
    }
    const counter = this.#collection.counter(name, help, definition.labels);
    return (value, labels) => counter.add(value, ...labels);
  }
}
