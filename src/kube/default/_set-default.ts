import type { JsonObject } from '../json/json-object.ts';

/** Sets a field that is absent. */
export function setDefault(parent: JsonObject, key: string, value: unknown): void {
  parent[key] ??= value;
}

/** Sets a text field that is absent or empty: both mean that nobody chose. */
export function setDefaultText(parent: JsonObject, key: string, value: string): void {
  if (parent[key] === undefined || parent[key] === '') parent[key] = value;
}
