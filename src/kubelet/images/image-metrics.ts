import type { Clock } from '../../base/clock.ts';
import type { PullPolicy } from '../../kube/pod.ts';
import type { MustPullResult } from './pulled-images.ts';

export type Known = 'true' | 'false' | 'unknown';

/** Told by the image manager what the kubelet counts (section 14). */
export interface ImageManagerMetrics {
  /** A pull succeeded. @param seconds waiting included */
  imagePulled(seconds: number, sizeBytes: number): void;
  imageEnsured(policy: PullPolicy, presentLocally: Known, pullRequired: Known): void;
  mustPullChecked(result: MustPullResult): void;
}

interface NamedMetric {
  readonly name: string;
  readonly help: string;
}

/** A metric as a collection of metrics must make it. Labels stand in the order of the alphabet, in which they are printed. */
export type MetricDefinition = NamedMetric &
  (
    | { readonly type: 'counter' | 'gauge'; readonly labels: readonly string[] }
    | {
        readonly type: 'histogram';
        readonly labels: readonly [] | readonly [string];
        readonly buckets: readonly number[];
      }
  );

/** Where metrics are counted. */
export interface MetricSink {
  /** Adds to a counter, sets a gauge or observes in a histogram. */
  record(metric: MetricDefinition, labels: Readonly<Record<string, string>>, value: number): void;
}

const PULL_BUCKETS = [1, 5, 10, 20, 30, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600];

/** From 5 ms, each two and a half times the one before: multiplied step by step, as rounding shows in the names of the buckets. */
const OPERATION_BUCKETS = Array.from({ length: 13 }).reduce<number[]>(
  (bounds) => [...bounds, (bounds.at(-1) ?? 0) * 2.5],
  [0.005],
);

/** What Prometheus' clients take when nothing is said. */
export const DEFAULT_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The kubelet's metrics of images, under its names and with its word on how settled they are (section 14). */
export const IMAGE_METRICS = {
  pullDuration: {
    name: 'kubelet_image_pull_duration_seconds',
    help: '[ALPHA] Duration in seconds to pull an image, waiting included, by size.',
    type: 'histogram',
    labels: ['image_size_in_bytes'],
    buckets: PULL_BUCKETS,
  },
  ensureRequests: {
    name: 'kubelet_image_manager_ensure_image_requests_total',
    help: '[ALPHA] Requests to make an image available, by pull policy, presence and need of a pull.',
    type: 'counter',
    labels: ['present_locally', 'pull_policy', 'pull_required'],
  },
  mustPullChecks: {
    name: 'kubelet_imagemanager_image_mustpull_checks_total',
    help: '[ALPHA] Checks whether a present image must be pulled again, by result.',
    type: 'counter',
    labels: ['result'],
  },
  diskIntents: {
    name: 'kubelet_imagemanager_ondisk_pullintents',
    help: '[ALPHA] Pull intents on disk.',
    type: 'gauge',
    labels: [],
  },
  diskRecords: {
    name: 'kubelet_imagemanager_ondisk_pulledrecords',
    help: '[ALPHA] Records of pulled images on disk.',
    type: 'gauge',
    labels: [],
  },
  memoryIntents: {
    name: 'kubelet_imagemanager_inmemory_pullintents_usage_percent',
    help: '[ALPHA] Use of the memory for pull intents, in per cent.',
    type: 'gauge',
    labels: [],
  },
  memoryRecords: {
    name: 'kubelet_imagemanager_inmemory_pulledrecords_usage_percent',
    help: '[ALPHA] Use of the memory for records of pulled images, in per cent.',
    type: 'gauge',
    labels: [],
  },
  garbageCollected: {
    name: 'kubelet_image_garbage_collected_total',
    help: '[ALPHA] Images removed by clean-up, by reason.',
    type: 'counter',
    labels: ['reason'],
  },
  evictions: {
    name: 'kubelet_evictions',
    help: '[ALPHA] Pods evicted, by the signal that ran short.',
    type: 'counter',
    labels: ['eviction_signal'],
  },
  startErrors: {
    name: 'kubelet_started_containers_errors_total',
    help: '[ALPHA] Containers that could not be started, by kind and reason.',
    type: 'counter',
    labels: ['code', 'container_type'],
  },
  volumesRequested: {
    name: 'kubelet_image_volume_requested_total',
    help: '[ALPHA] Image volumes that Pods have asked for.',
    type: 'counter',
    labels: [],
  },
  volumesMounted: {
    name: 'kubelet_image_volume_mounted_succeed_total',
    help: '[ALPHA] Image volumes that were mounted.',
    type: 'counter',
    labels: [],
  },
  volumesFailed: {
    name: 'kubelet_image_volume_mounted_errors_total',
    help: '[ALPHA] Image volumes that could not be mounted.',
    type: 'counter',
    labels: [],
  },
  pluginErrors: {
    name: 'kubelet_credential_provider_plugin_errors_total',
    help: '[ALPHA] Failed runs of credential-provider plug-ins.',
    type: 'counter',
    labels: ['plugin_name'],
  },
  pluginDuration: {
    name: 'kubelet_credential_provider_plugin_duration',
    help: '[ALPHA] Duration in seconds of runs of credential-provider plug-ins.',
    type: 'histogram',
    labels: ['plugin_name'],
    buckets: DEFAULT_BUCKETS,
  },
  pluginConfiguration: {
    name: 'kubelet_credential_provider_config_info',
    help: '[ALPHA] Hash of the configuration of credential-provider plug-ins.',
    type: 'gauge',
    labels: ['hash'],
  },
  runtimeOperations: {
    name: 'kubelet_runtime_operations_total',
    help: '[ALPHA] Calls to the runtime, by operation.',
    type: 'counter',
    labels: ['operation_type'],
  },
  runtimeErrors: {
    name: 'kubelet_runtime_operations_errors_total',
    help: '[ALPHA] Calls to the runtime that failed, by operation.',
    type: 'counter',
    labels: ['operation_type'],
  },
  runtimeDuration: {
    name: 'kubelet_runtime_operations_duration_seconds',
    help: '[ALPHA] Duration in seconds of calls to the runtime, by operation.',
    type: 'histogram',
    labels: ['operation_type'],
    buckets: OPERATION_BUCKETS,
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

const MIB = 1024 * 1024;
const SIZE_LIMITS: readonly (readonly [megabytes: number, label: string])[] = [
  [10, '0-10MB'],
  [100, '10MB-100MB'],
  [500, '100MB-500MB'],
  [1024, '500MB-1GB'],
  [5 * 1024, '1GB-5GB'],
  [10 * 1024, '5GB-10GB'],
  [20 * 1024, '10GB-20GB'],
  [30 * 1024, '20GB-30GB'],
  [40 * 1024, '30GB-40GB'],
  [60 * 1024, '40GB-60GB'],
  [100 * 1024, '60GB-100GB'],
];

/** Names the range of a size; the lower bound does not belong to it. */
export function imageSizeLabel(bytes: number): string {
  if (bytes === 0) return 'N/A';
  return SIZE_LIMITS.find(([megabytes]) => bytes <= megabytes * MIB)?.[1] ?? 'GT100GB';
}

/** Turns what the image manager tells into the kubelet's metrics. */
export function imageManagerMetrics(sink: MetricSink): ImageManagerMetrics {
  return {
    imagePulled: (seconds, sizeBytes) =>
      sink.record(IMAGE_METRICS.pullDuration, { image_size_in_bytes: imageSizeLabel(sizeBytes) }, seconds),
    imageEnsured: (policy, presentLocally, pullRequired) =>
      sink.record(
        IMAGE_METRICS.ensureRequests,
        { present_locally: presentLocally, pull_policy: policy.toLowerCase(), pull_required: pullRequired },
        1,
      ),
    mustPullChecked: (result) => sink.record(IMAGE_METRICS.mustPullChecks, { result }, 1),
  };
}

/** Publishes how many records there are and how full their memory is; call after changes or at each scrape. */
export function recordStatistics(
  sink: MetricSink,
  statistics: {
    readonly intents: number;
    readonly records: number;
    readonly usage: { readonly intents: number; readonly records: number };
  },
): void {
  sink.record(IMAGE_METRICS.diskIntents, {}, statistics.intents);
  sink.record(IMAGE_METRICS.diskRecords, {}, statistics.records);
  sink.record(IMAGE_METRICS.memoryIntents, {}, statistics.usage.intents);
  sink.record(IMAGE_METRICS.memoryRecords, {}, statistics.usage.records);
}

/** Counts and times one call to a runtime. */
export async function timedOperation<T>(
  sink: MetricSink,
  clock: Clock,
  operation: string,
  call: () => Promise<T>,
): Promise<T> {
  const labels = { operation_type: operation };
  const startedAt = clock.now();
  sink.record(IMAGE_METRICS.runtimeOperations, labels, 1);
  try {
    return await call();
  } catch (error) {
    sink.record(IMAGE_METRICS.runtimeErrors, labels, 1);
    throw error;
  } finally {
    sink.record(IMAGE_METRICS.runtimeDuration, labels, (clock.now() - startedAt) / 1000);
  }
}
