import { objectAt, objectsAt, stringAt, type JsonObject } from './json/json-object.ts';
import type { KubeObject } from './object.ts';

/*
 * HorizontalPodAutoscalers are served in two versions and stored as autoscaling/v2. What autoscaling/v1 has no fields for
 * stands in annotations there, as a real server writes them:
 *
 *   autoscaling/v2                          autoscaling/v1
 *   spec.metrics, utilization of cpu        spec.targetCPUUtilizationPercentage
 *   spec.metrics, all others                annotation …/metrics
 *   status.currentMetrics                   annotation …/current-metrics; cpu: status.currentCPUUtilizationPercentage
 *   status.conditions                       annotation …/conditions
 *   spec.behavior                           annotation …/behavior, under the names of the server's own fields
 */
const PREFIX = 'autoscaling.alpha.kubernetes.io/';
const METRICS = `${PREFIX}metrics`;
const CURRENT = `${PREFIX}current-metrics`;
const CONDITIONS = `${PREFIX}conditions`;
const BEHAVIOR = `${PREFIX}behavior`;
const DEFAULT_CPU_PERCENT = 80;

/** Returns an autoscaler in the form of the wanted apiVersion; objects of other kinds pass through. */
export function convertAutoscaler(object: KubeObject, apiVersion: string): KubeObject {
  if (object.kind !== 'HorizontalPodAutoscaler' || object.apiVersion === apiVersion) return object;
  const json = object as unknown as JsonObject;
  const converted = apiVersion === 'autoscaling/v1' ? toOlder(json) : toNewer(json);
  return { ...converted, apiVersion } as unknown as KubeObject;
}

function toOlder(object: JsonObject): JsonObject {
  const { metrics: _metrics, behavior, ...spec } = objectAt(object, 'spec') ?? {};
  const { currentMetrics: _current, conditions: _conditions, ...status } = objectAt(object, 'status') ?? {};
  const metrics = objectsAt(objectAt(object, 'spec'), 'metrics');
  const cpu = metrics.find(isCpuShare);
  const others = metrics.filter((metric) => !isCpuShare(metric));
  const current = objectsAt(objectAt(object, 'status'), 'currentMetrics');
  const conditions = objectsAt(objectAt(object, 'status'), 'conditions');
  const annotations = {
    ...(others.length === 0 ? {} : { [METRICS]: JSON.stringify(others.map(olderTarget)) }),
    ...(current.length === 0 ? {} : { [CURRENT]: JSON.stringify(current.map(olderStatus)) }),
    ...(conditions.length === 0 ? {} : { [CONDITIONS]: JSON.stringify(conditions) }),
    ...(behavior === undefined ? {} : { [BEHAVIOR]: JSON.stringify(renamed(behavior, capitalize)) }),
  };
  const share = targetOf(cpu)?.['averageUtilization'];
  const used = objectAt(objectAt(current.find(isCpu), 'resource'), 'current')?.['averageUtilization'];
  return {
    ...object,
    metadata: withAnnotations(objectAt(object, 'metadata') ?? {}, annotations),
    spec: { ...spec, ...(share === undefined ? {} : { targetCPUUtilizationPercentage: share }) },
    status: { ...status, ...(used === undefined ? {} : { currentCPUUtilizationPercentage: used }) },
  };
}

function toNewer(object: JsonObject): JsonObject {
  const { targetCPUUtilizationPercentage: share, ...spec } = objectAt(object, 'spec') ?? {};
  const { currentCPUUtilizationPercentage: used, ...status } = objectAt(object, 'status') ?? {};
  const { annotations = {}, ...metadata } = (objectAt(object, 'metadata') ?? {}) as {
    annotations?: Record<string, string>;
  };
  const {
    [METRICS]: others,
    [CURRENT]: current,
    [CONDITIONS]: conditions,
    [BEHAVIOR]: behavior,
    ...own
  } = annotations;
  const cpu = (target: string, amount: unknown): JsonObject => ({
    type: 'Resource',
    resource: { name: 'cpu', [target]: amount },
  });
  const target = (percent: unknown): JsonObject =>
    cpu('target', { type: 'Utilization', averageUtilization: percent });
  const metrics = [...listIn(others).map(newerTarget), ...(typeof share === 'number' ? [target(share)] : [])];
  const measured = listIn(current).map(newerStatus);
  if (measured.length === 0 && typeof used === 'number') {
    measured.push(cpu('current', { averageUtilization: used }));
  }
  const told = listIn(conditions);
  const rules = valueIn(behavior);
  return {
    ...object,
    metadata: { ...metadata, ...(Object.keys(own).length === 0 ? {} : { annotations: own }) },
    spec: {
      ...spec,
      metrics: metrics.length === 0 ? [target(DEFAULT_CPU_PERCENT)] : metrics,
      ...(rules === undefined ? {} : { behavior: renamed(rules, decapitalize) }),
    },
    status: {
      ...status,
      ...(measured.length === 0 ? {} : { currentMetrics: measured }),
      ...(told.length === 0 ? {} : { conditions: told }),
    },
  };
}

function isCpu(metric: JsonObject): boolean {
  return metric['type'] === 'Resource' && stringAt(objectAt(metric, 'resource'), 'name') === 'cpu';
}

function isCpuShare(metric: JsonObject): boolean {
  return isCpu(metric) && targetOf(metric)?.['averageUtilization'] !== undefined;
}

function targetOf(metric: JsonObject | undefined): JsonObject | undefined {
  return objectAt(objectAt(metric, 'resource'), 'target');
}

/** The field of a metric that its type names. */
function sourceOf(metric: JsonObject): string {
  const type = stringAt(metric, 'type');
  return type.slice(0, 1).toLowerCase() + type.slice(1);
}

function withoutAbsent(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

const olderTarget = (metric: JsonObject): JsonObject => older(metric, 'target');
const olderStatus = (metric: JsonObject): JsonObject => older(metric, 'current');
const newerTarget = (metric: JsonObject): JsonObject => newer(metric, 'target');
const newerStatus = (metric: JsonObject): JsonObject => newer(metric, 'current');

/** In the older form each kind of metric has amounts of its own: `targetAverageValue`, `currentValue`. */
function older(metric: JsonObject, side: 'target' | 'current'): JsonObject {
  const field = sourceOf(metric);
  const source = objectAt(metric, field);
  const amount = objectAt(source, side);
  const named = objectAt(source, 'metric');
  const form: Record<string, JsonObject> = {
    resource: {
      name: source?.['name'],
      [`${side}AverageUtilization`]: amount?.['averageUtilization'],
      [`${side}AverageValue`]: amount?.['averageValue'],
    },
    pods: {
      metricName: named?.['name'],
      [`${side}AverageValue`]: amount?.['averageValue'],
      selector: named?.['selector'],
    },
    object: {
      target: source?.['describedObject'],
      metricName: named?.['name'],
      [`${side}Value`]: amount?.['value'],
      selector: named?.['selector'],
      averageValue: amount?.['averageValue'],
    },
    external: {
      metricName: named?.['name'],
      metricSelector: named?.['selector'],
      [`${side}Value`]: amount?.['value'],
      [`${side}AverageValue`]: amount?.['averageValue'],
    },
  };
  form['containerResource'] = { ...form['resource'], container: source?.['container'] };
  return { type: metric['type'], [field]: withoutAbsent(form[field] ?? {}) };
}

function newer(metric: JsonObject, side: 'target' | 'current'): JsonObject {
  const field = sourceOf(metric);
  const source = objectAt(metric, field) ?? {};
  const share = source[`${side}AverageUtilization`];
  const average = source[field === 'object' ? 'averageValue' : `${side}AverageValue`];
  const value = source[`${side}Value`];
  const type = share !== undefined ? 'Utilization' : average !== undefined ? 'AverageValue' : 'Value';
  const amount = withoutAbsent({
    ...(side === 'target' ? { type } : {}),
    value,
    averageValue: average,
    averageUtilization: share,
  });
  const named = withoutAbsent({
    name: source['metricName'],
    selector: source[field === 'external' ? 'metricSelector' : 'selector'],
  });
  const isResource = field === 'resource' || field === 'containerResource';
  return {
    type: metric['type'],
    [field]: withoutAbsent({
      ...(isResource ? { name: source['name'], container: source['container'] } : { metric: named }),
      ...(field === 'object' ? { describedObject: source['target'] } : {}),
      [side]: amount,
    }),
  };
}

function withAnnotations(metadata: JsonObject, added: Record<string, string>): JsonObject {
  if (Object.keys(added).length === 0) return metadata;
  return { ...metadata, annotations: { ...objectAt(metadata, 'annotations'), ...added } };
}

/** Anybody may write annotations: what is no list of objects counts for nothing. */
function listIn(text: string | undefined): JsonObject[] {
  const value = parse(text);
  return Array.isArray(value) ? objectsAt({ value }, 'value') : [];
}

function valueIn(text: string | undefined): JsonObject | undefined {
  return objectAt({ value: parse(text) }, 'value');
}

function parse(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function renamed(value: unknown, rename: (key: string) => string): unknown {
  if (Array.isArray(value)) return value.map((entry) => renamed(entry, rename));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, entry]) => entry !== null)
      .map(([key, entry]) => [rename(key), renamed(entry, rename)]),
  );
}

const capitalize = (key: string): string => key.slice(0, 1).toUpperCase() + key.slice(1);
const decapitalize = (key: string): string => key.slice(0, 1).toLowerCase() + key.slice(1);
