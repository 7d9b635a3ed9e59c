import { http } from '../../base/node-http.ts';
import type { PullMetrics, SparedReason } from '../../pull/pull-metrics.ts';
import {
  DEFAULT_BUCKETS,
  type ImageManagerMetrics,
  type MetricDefinition,
  type MetricSink,
} from './image-metrics.ts';

/** Seconds: a name is resolved in milliseconds, a large layer takes minutes. */
const PHASE_BUCKETS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];

/** This node's own metrics of pulls, where the kubelet has none (rules 14.2 to 14.6). */
export const OWN_METRICS = {
  pulls: {
    name: 'drayage_pulls_total',
    help: 'Pulls by the node’s own runtime, by how they ended; joined: with one of the same image that was under way.',
    type: 'counter',
    labels: ['result'],
  },
  failures: {
    name: 'drayage_pull_failures_total',
    help: 'Pulls that failed, by what was in the way.',
    type: 'counter',
    labels: ['code'],
  },
  inProgress: {
    name: 'drayage_pulls_in_progress',
    help: 'Pulls under way.',
    type: 'gauge',
    labels: [],
  },
  requests: {
    name: 'drayage_pull_requests_total',
    help: 'Requests sent for pulls, by what was asked for and the status of the answer; none: there was no answer.',
    type: 'counter',
    labels: ['code', 'kind'],
  },
  avoidedRequests: {
    name: 'drayage_pull_avoided_requests_total',
    help: 'Requests to registries that were not needed, by why.',
    type: 'counter',
    labels: ['reason'],
  },
  fetchedBytes: {
    name: 'drayage_pull_fetched_bytes_total',
    help: 'Bytes of content that arrived from registries, by kind.',
    type: 'counter',
    labels: ['kind'],
  },
  savedBytes: {
    name: 'drayage_pull_saved_bytes_total',
    help: 'Bytes of content that images needed and that did not have to be fetched, by why.',
    type: 'counter',
    labels: ['reason'],
  },
  phase: {
    name: 'drayage_pull_phase_duration_seconds',
    help: 'Duration in seconds of the phases of a pull, which follow one another.',
    type: 'histogram',
    labels: ['phase'],
    buckets: PHASE_BUCKETS,
  },
  layerPhase: {
    name: 'drayage_pull_layer_phase_duration_seconds',
    help: 'Duration in seconds of the phases of one layer, which follow one another; layers are brought side by side.',
    type: 'histogram',
    labels: ['phase'],
    buckets: PHASE_BUCKETS,
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

/** What containerd tells of the same pulls, under its names (rule 14.7). A gauge ends in `_total` there. */
export const RUNTIME_METRICS = {
  pulls: {
    name: 'containerd_cri_sandboxed_image_pulls_total',
    help: 'Pulls that succeeded and that failed.',
    type: 'counter',
    labels: ['status'],
  },
  inProgress: {
    name: 'containerd_cri_sandboxed_in_progress_image_pulls_total',
    help: 'Pulls under way.',
    type: 'gauge',
    labels: [],
  },
  throughput: {
    name: 'containerd_cri_sandboxed_image_pulling_throughput_mibps',
    help: 'MiB fetched a second by each pull that fetched something, unpacking included.',
    type: 'histogram',
    labels: [],
    buckets: [0.1, 1, 10, 25, 75, 150, 300, 500, 1000, 2000, 4000],
  },
  oldThroughput: {
    name: 'containerd_cri_sandboxed_image_pulling_throughput',
    help: 'As image_pulling_throughput_mibps, in buckets that end at 10 MiB a second.',
    type: 'histogram',
    labels: [],
    buckets: DEFAULT_BUCKETS,
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

const MIB = 1024 * 1024;

const SPARED: readonly SparedReason[] = ['held', 'shared', 'joined', 'resumed'];

/** Turns what a puller tells into metrics. Series whose labels are known say 0 from the start, so that their rise can be seen. */
export function pullMetrics(sink: MetricSink): PullMetrics {
  const { pulls, avoidedRequests, fetchedBytes, savedBytes } = OWN_METRICS;
  let inProgress = 0;
  const underWay = (change: number): void => {
    inProgress += change;
    sink.record(OWN_METRICS.inProgress, {}, inProgress);
    sink.record(RUNTIME_METRICS.inProgress, {}, inProgress);
  };
  underWay(0);
  const fetchedAt = (mibPerSecond: number): void => {
    sink.record(RUNTIME_METRICS.throughput, {}, mibPerSecond);
    sink.record(RUNTIME_METRICS.oldThroughput, {}, mibPerSecond);
  };
  for (const result of ['pulled', 'joined', 'failed']) sink.record(pulls, { result }, 0);
  for (const kind of ['manifest', 'blob']) sink.record(fetchedBytes, { kind }, 0);
  for (const reason of SPARED) sink.record(savedBytes, { reason }, 0);
  for (const reason of [...SPARED.filter((each) => each !== 'resumed'), 'present'])
    sink.record(avoidedRequests, { reason }, 0);
  return {
    pullBegan: () => underWay(1),
    pullEnded: (end) => {
      underWay(-1);
      sink.record(pulls, { result: end.result }, 1);
      sink.record(RUNTIME_METRICS.pulls, { status: end.result === 'failed' ? 'failure' : 'success' }, 1);
      if (end.result === 'failed') sink.record(OWN_METRICS.failures, { code: end.code }, 1);
      // A pull that fetched nothing has no speed.
      if (end.result === 'pulled' && end.fetchedBytes > 0 && end.seconds > 0)
        fetchedAt(end.fetchedBytes / MIB / end.seconds);
    },
    requested: ({ purpose, status }) =>
      sink.record(OWN_METRICS.requests, { code: statusLabel(status), kind: purpose }, 1),
    fetched: (kind, bytes) => sink.record(fetchedBytes, { kind }, bytes),
    spared: (reason, bytes, requests) => {
      sink.record(savedBytes, { reason }, bytes);
      if (requests > 0) sink.record(avoidedRequests, { reason }, requests);
    },
    took: (of, phase, seconds) =>
      sink.record(of === 'pull' ? OWN_METRICS.phase : OWN_METRICS.layerPhase, { phase }, seconds),
  };
}

/** Counts for the image manager, and what a present image spares: the question for its name that `Always` would have asked. */
export function withPresent(metrics: ImageManagerMetrics, sink: MetricSink): ImageManagerMetrics {
  return {
    ...metrics,
    imageEnsured: (policy, presentLocally, pullRequired) => {
      metrics.imageEnsured(policy, presentLocally, pullRequired);
      if (pullRequired === 'false') sink.record(OWN_METRICS.avoidedRequests, { reason: 'present' }, 1);
    },
  };
}

/** A registry may answer with any number: those that nobody has defined share a label. */
function statusLabel(status: number | undefined): string {
  if (status === undefined) return 'none';
  return http.STATUS_CODES[status] === undefined ? 'other' : String(status);
}
