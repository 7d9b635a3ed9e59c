import { convertAutoscaler } from '../autoscaler-conversion.ts';
import { numberAt, objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
import type { KubeObject } from '../object.ts';
import { ageOf, nameOf } from './_cells.ts';
import { AGE, NAME, spec, status, statusCount, text, type Printer } from './_columns.ts';

/** More metrics than these are only counted. */
const SHOWN = 2;

export const autoscaler: Printer = {
  columns: [
    NAME,
    text('Reference', 'The workload.'),
    text('Targets', 'What is measured, and what is aimed at.'),
    text('MinPods', 'Fewest Pods.'),
    text('MaxPods', 'Most Pods.'),
    text('Replicas', 'Pods there are.'),
    AGE,
  ],
  row: (object, now) => {
    const newest = convertAutoscaler(
      object as unknown as KubeObject,
      'autoscaling/v2',
    ) as unknown as JsonObject;
    const target = objectAt(spec(newest), 'scaleTargetRef');
    const least = numberAt(spec(newest), 'minReplicas');
    return [
      nameOf(object),
      `${stringAt(target, 'kind')}/${stringAt(target, 'name')}`,
      metricsOf(newest),
      least === undefined ? '<unset>' : String(least),
      numberAt(spec(newest), 'maxReplicas') ?? 0,
      statusCount(newest, 'currentReplicas'),
      ageOf(object, now),
    ];
  },
};

function metricsOf(object: JsonObject): string {
  const metrics = objectsAt(spec(object), 'metrics');
  const measured = objectsAt(status(object), 'currentMetrics');
  if (metrics.length === 0) return '<none>';
  const shown = metrics
    .slice(0, SHOWN)
    .map((metric, index) => metricCell(metric, measured[index]))
    .join(', ');
  return metrics.length > SHOWN ? `${shown} + ${metrics.length - SHOWN} more...` : shown;
}

function metricCell(metric: JsonObject, measured: JsonObject | undefined): string {
  const type = stringAt(metric, 'type');
  const field = type.slice(0, 1).toLowerCase() + type.slice(1);
  const source = objectAt(metric, field);
  if (source === undefined) return '<unknown type>';
  const target = objectAt(source, 'target');
  const current = objectAt(objectAt(measured, field), 'current');
  const amount = (from: JsonObject | undefined, key: string, absent: string): string => {
    const value = from?.[key];
    if (typeof value !== 'string' && typeof value !== 'number') return absent;
    return key === 'averageUtilization' ? `${value}%` : String(value);
  };
  const pair = (key: string, absent = ''): string =>
    `${amount(current, key, '<unknown>')}/${amount(target, key, absent)}`;
  const isAverage = target?.['averageValue'] !== undefined;
  switch (type) {
    case 'Resource':
    case 'ContainerResource': {
      const name = stringAt(source, 'name');
      return `${name}: ${isAverage ? pair('averageValue') : pair('averageUtilization', '<auto>')}`;
    }
    case 'Pods':
      return pair('averageValue');
    default:
      return isAverage ? `${pair('averageValue')} (avg)` : pair('value');
  }
}
