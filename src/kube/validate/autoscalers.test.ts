import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { validateAutoscaler, validateAutoscalerUpdate } from './autoscalers.ts';

const target = { kind: 'Deployment', name: 'web' };
const AMOUNT = { type: 'Utilization', averageUtilization: 80 };
const cpu = { type: 'Resource', resource: { name: 'cpu', target: AMOUNT } };
const spec = { scaleTargetRef: target, maxReplicas: 5, metrics: [cpu] };
const metric = (entry: object): object => ({ ...spec, metrics: [entry] });
const scaling = (scaleUp: object): object => ({ ...spec, behavior: { scaleUp } });

interface Row {
  readonly name: string;
  readonly spec: object;
  readonly told: readonly string[];
}

const rows: readonly Row[] = [
  { name: 'what is right', spec: { ...spec, minReplicas: 1 }, told: [] },
  {
    name: 'bounds that are none',
    spec: { ...spec, minReplicas: 0, maxReplicas: -1 },
    told: [
      'spec.minReplicas: Invalid value: must be greater than or equal to 1',
      'spec.maxReplicas: Invalid value: must be greater than 0',
      'spec.maxReplicas: Invalid value: must be greater than or equal to `minReplicas`',
      'spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas',
    ],
  },
  {
    name: 'a workload without a name, of a kind that is none',
    spec: { ...spec, scaleTargetRef: { kind: 'a/b' } },
    told: [
      "spec.scaleTargetRef.kind: Invalid value: may not contain '/'",
      'spec.scaleTargetRef.name: Required value',
    ],
  },
  {
    name: 'a metric without a type',
    spec: metric({}),
    told: [
      'spec.metrics[0].type: Required value: must specify a metric source type',
      ...Array<string>(2).fill(
        'spec.metrics[0].type: Unsupported value: supported values: "ContainerResource", "External", "Object", "Pods", "Resource"',
      ),
    ],
  },
  {
    name: 'a metric of another type than it says',
    spec: metric({ ...cpu, type: 'Pods' }),
    told: ['spec.metrics[0].pods: Required value: must populate information for the given metric source'],
  },
  {
    name: 'a metric of two types',
    spec: metric({ ...cpu, pods: { metric: { name: 'a' }, target: { type: 'Value', averageValue: '1' } } }),
    told: ['spec.metrics[0].pods: Forbidden: must populate the given metric source only'],
  },
  {
    name: 'a resource without a name, with two aims',
    spec: metric({ type: 'Resource', resource: { target: { ...AMOUNT, averageValue: '0' } } }),
    told: [
      'spec.metrics[0].resource.name: Required value: must specify a resource name',
      'spec.metrics[0].resource.target.averageValue: Invalid value: must be positive',
      'spec.metrics[0].resource.target.averageValue: Forbidden: may not set both a target raw value and a target utilization',
    ],
  },
  {
    name: 'a metric of something outside without a name and an aim',
    spec: metric({ type: 'External', external: { metric: {}, target: { type: 'Other' } } }),
    told: [
      'spec.metrics[0].external.metric.name: Required value: must specify a metric name',
      'spec.metrics[0].external.target.type: Invalid value: must be either Utilization, Value, or AverageValue',
      'spec.metrics[0].external.target.averageValue: Required value: must set either a target value for metric or a per-pod target',
    ],
  },
  {
    name: 'rules that are out of bounds',
    spec: scaling({
      stabilizationWindowSeconds: 3601,
      selectPolicy: 'Some',
      policies: [{ type: 'Pods', value: 0, periodSeconds: 1801 }],
    }),
    told: [
      'spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: must be less than or equal to 3600',
      'spec.behavior.scaleUp.selectPolicy: Unsupported value: supported values: "Disabled", "Max", "Min"',
      'spec.behavior.scaleUp.policies[0].value: Invalid value: must be greater than zero',
      'spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: must be less than or equal to 1800',
    ],
  },
];

function told(errors: ReturnType<typeof validateAutoscaler>): string[] {
  return errors.map(({ field, message }) => `${field}: ${message}`);
}

describe('an autoscaler is told of', () => {
  for (const { name, spec: given, told: expected } of rows) {
    test(name, () => {
      const object = { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', spec: given };
      assert.deepEqual(
        told(validateAutoscaler(object)).map((text) =>
          text.replace(/Invalid value: .*?: |Unsupported value: .*?: /, (all) => all.replace(/: .*/, ': ')),
        ),
        expected,
      );
    });
  }
});

test('an autoscaler that went down to no Pods may stay there', () => {
  const object = (minReplicas: number): Record<string, unknown> => ({
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    spec: {
      ...spec,
      minReplicas,
      metrics: [
        {
          type: 'External',
          external: { metric: { name: 'a' }, target: { type: 'AverageValue', averageValue: '1' } },
        },
      ],
    },
  });
  assert.deepEqual(told(validateAutoscalerUpdate(object(0), object(0))), []);
  assert.equal(validateAutoscalerUpdate(object(0), object(1)).length, 1);
});
