import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { convertAutoscaler } from './autoscaler-conversion.ts';
import type { KubeObject } from './object.ts';

const PREFIX = 'autoscaling.alpha.kubernetes.io/';
const TARGET = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' };

function autoscaler(version: string, spec: object, more: object = {}): KubeObject {
  const object = {
    apiVersion: `autoscaling/${version}`,
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'web', annotations: { mine: 'yes' } },
    spec: { scaleTargetRef: TARGET, maxReplicas: 5, ...spec },
    status: { currentReplicas: 1, desiredReplicas: 1 },
    ...more,
  };
  return object;
}

const cpu = (target: object): object => ({ type: 'Resource', resource: { name: 'cpu', target } });
const share = cpu({ type: 'Utilization', averageUtilization: 80 });
const others = [
  { type: 'Resource', resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '1Gi' } } },
  {
    type: 'ContainerResource',
    containerResource: {
      name: 'cpu',
      container: 'a',
      target: { type: 'Utilization', averageUtilization: 50 },
    },
  },
  { type: 'Pods', pods: { metric: { name: 'hits' }, target: { type: 'AverageValue', averageValue: '1k' } } },
  {
    type: 'Object',
    object: { describedObject: TARGET, metric: { name: 'depth' }, target: { type: 'Value', value: '3' } },
  },
  {
    type: 'External',
    external: {
      metric: { name: 'queue', selector: { matchLabels: { a: 'b' } } },
      target: { type: 'Value', value: '9' },
    },
  },
];

describe('an autoscaler in autoscaling/v1', () => {
  test('aims at a share of the CPU by a field of its own', () => {
    const older = convertAutoscaler(autoscaler('v2', { metrics: [share] }), 'autoscaling/v1');
    assert.deepEqual(older, autoscaler('v1', { targetCPUUtilizationPercentage: 80 }));
    const newer = convertAutoscaler(older, 'autoscaling/v2');
    assert.deepEqual(newer, autoscaler('v2', { metrics: [share] }));
  });

  test('has all other metrics in an annotation, which lead back to them', () => {
    const newest = autoscaler('v2', { metrics: [...others, share] });
    const older = convertAutoscaler(newest, 'autoscaling/v1');
    const text = older.metadata.annotations?.[`${PREFIX}metrics`] ?? '';
    assert.deepEqual(JSON.parse(text), [
      { type: 'Resource', resource: { name: 'memory', targetAverageValue: '1Gi' } },
      {
        type: 'ContainerResource',
        containerResource: { name: 'cpu', targetAverageUtilization: 50, container: 'a' },
      },
      { type: 'Pods', pods: { metricName: 'hits', targetAverageValue: '1k' } },
      { type: 'Object', object: { target: TARGET, metricName: 'depth', targetValue: '3' } },
      {
        type: 'External',
        external: { metricName: 'queue', metricSelector: { matchLabels: { a: 'b' } }, targetValue: '9' },
      },
    ]);
    assert.deepEqual(convertAutoscaler(older, 'autoscaling/v2'), newest);
  });

  test('has what is measured, what is told of it and how fast it scales in annotations', () => {
    const current = { averageUtilization: 40, averageValue: '400m' };
    const newest = autoscaler(
      'v2',
      { metrics: [share], behavior: { scaleDown: { policies: [{ type: 'Pods', value: 1 }] } } },
      {
        status: {
          currentReplicas: 1,
          desiredReplicas: 1,
          currentMetrics: [{ type: 'Resource', resource: { name: 'cpu', current } }],
          conditions: [{ type: 'AbleToScale', status: 'True' }],
        },
      },
    );
    const older = convertAutoscaler(newest, 'autoscaling/v1');
    assert.deepEqual(older.metadata.annotations, {
      mine: 'yes',
      [`${PREFIX}current-metrics`]:
        '[{"type":"Resource","resource":{"name":"cpu","currentAverageUtilization":40,"currentAverageValue":"400m"}}]',
      [`${PREFIX}conditions`]: '[{"type":"AbleToScale","status":"True"}]',
      [`${PREFIX}behavior`]: '{"ScaleDown":{"Policies":[{"Type":"Pods","Value":1}]}}',
    });
    assert.equal(
      (older as unknown as { status: Record<string, unknown> }).status['currentCPUUtilizationPercentage'],
      40,
    );
    assert.deepEqual(convertAutoscaler(older, 'autoscaling/v2'), newest);
  });

  test('aims at 80% of the CPU where nothing is said, and passes over annotations that are no lists', () => {
    const older = autoscaler('v1', {});
    const { metadata } = older;
    const broken = { ...metadata, annotations: { mine: 'yes', [`${PREFIX}metrics`]: '{', x: 'y' } };
    const newer = convertAutoscaler({ ...older, metadata: broken }, 'autoscaling/v2');
    const expected = autoscaler('v2', { metrics: [share] });
    assert.deepEqual(newer, {
      ...expected,
      metadata: { ...metadata, annotations: { mine: 'yes', x: 'y' } },
    });
  });
});
