/** A metric of a HorizontalPodAutoscaler, as far as its failure names it. */
export interface Metric {
  readonly type: string;
  readonly resource?: { readonly name: string; readonly target: Target };
  readonly containerResource?: { readonly name: string; readonly target: Target };
  readonly pods?: { readonly metric: { readonly name: string } };
  readonly object?: { readonly metric: { readonly name: string } };
  readonly external?: { readonly metric: { readonly name: string } };
}

interface Target {
  readonly averageValue?: string | number;
}

/** Why a metric has no value. */
export interface MetricFailure {
  readonly reason: string;
  /** What was tried. */
  readonly context: string;
  readonly message: string;
}

const NOT_FOUND = 'the server could not find the requested resource';
const NO_CUSTOM = 'no custom metrics API (custom.metrics.k8s.io) registered';

/** Words, as kube-controller-manager does without a metrics server, why a metric has no value: nobody measures. */
export function failureOf(metric: Metric): MetricFailure {
  switch (metric.type) {
    case 'Resource':
      return ofResource('FailedGetResourceMetric', 'resource', metric.resource);
    case 'ContainerResource':
      return ofResource('FailedGetContainerResourceMetric', 'container', metric.containerResource);
    case 'External': {
      const name = metric.external?.metric.name ?? '';
      const why = `unable to fetch metrics from external metrics API: ${NOT_FOUND} (get ${name}.external.metrics.k8s.io)`;
      const message = `unable to get external metric ${name}: ${why}`;
      return {
        reason: 'FailedGetExternalMetric',
        context: `failed to get ${name} external metric value`,
        message,
      };
    }
    default: {
      const kind = metric.type === 'Pods' ? 'pods' : 'object';
      const name = metric[kind]?.metric.name ?? '';
      const message = `unable to get metric ${name}: unable to fetch metrics from custom metrics API: ${NO_CUSTOM}`;
      const reason = kind === 'pods' ? 'FailedGetPodsMetric' : 'FailedGetObjectMetric';
      return { reason, context: `failed to get ${kind} metric value`, message };
    }
  }
}

function ofResource(reason: string, kind: string, source: Metric['resource']): MetricFailure {
  const name = source?.name ?? '';
  const what = source?.target.averageValue === undefined ? 'utilization' : 'usage';
  const why = `unable to fetch metrics from resource metrics API: ${NOT_FOUND} (get pods.metrics.k8s.io)`;
  return {
    reason,
    context: `failed to get ${name} ${kind} metric value`,
    message: `failed to get ${name} ${what}: unable to get metrics for resource ${name}: ${why}`,
  };
}
