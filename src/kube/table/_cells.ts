import { objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { formatLabelSelector } from '../selector/label-selector.ts';
import { humanDuration, parseTime } from '../time.ts';

/** A value in a table. */
export type Cell = string | number | boolean | null;

/** Prints how long ago a time was; `<unknown>` when there is none. */
export function since(time: unknown, now: number): string {
  const ms = typeof time === 'string' ? parseTime(time) : undefined;
  return ms === undefined ? '<unknown>' : humanDuration(now - ms);
}

/** Prints the age of an object. */
export function ageOf(object: JsonObject, now: number): string {
  return since(objectAt(object, 'metadata')?.['creationTimestamp'], now);
}

/** Returns the name of an object. */
export function nameOf(object: JsonObject): string {
  return stringAt(objectAt(object, 'metadata'), 'name');
}

/** Prints names and images of a Pod description's containers: the last columns of a workload. */
export function containerCells(podSpec: JsonObject | undefined): [names: string, images: string] {
  const containers = objectsAt(podSpec, 'containers');
  return [
    containers.map((container) => stringAt(container, 'name')).join(','),
    containers.map((container) => stringAt(container, 'image')).join(','),
  ];
}

/** Prints a label selector inside an object. */
export function selectorCell(selector: JsonObject | undefined): string {
  return formatLabelSelector(selector);
}

/** Prints a map of labels as `a=b,c=d`; `<none>` when empty. */
export function labelsCell(labels: JsonObject | undefined): string {
  return (
    Object.entries(labels ?? {})
      .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([key, value]) => `${key}=${String(value)}`)
      .join(',') || '<none>'
  );
}

/** Returns the Pod description of a workload's template. */
export function templateSpec(object: JsonObject): JsonObject | undefined {
  return objectAt(objectAt(objectAt(object, 'spec'), 'template'), 'spec');
}

/** Prints text, `<none>` when there is none. */
export function orNone(text: string): string {
  return text === '' ? '<none>' : text;
}
