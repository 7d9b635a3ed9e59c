/** A JSON object whose fields are known only while walking it. */
export type JsonObject = Record<string, unknown>;

/** Returns the object at a field, `undefined` when there is none. */
export function objectAt(parent: Readonly<JsonObject> | undefined, key: string): JsonObject | undefined {
  const value = parent?.[key];
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : undefined;
}

/** Returns the objects in a list field; empty when there is none. */
export function objectsAt(parent: Readonly<JsonObject> | undefined, key: string): JsonObject[] {
  const value = parent?.[key];
  return Array.isArray(value) ? value.filter((item) => typeof item === 'object' && item !== null) : [];
}

/** Returns the strings in a list field; empty when there is none. */
export function stringsAt(parent: Readonly<JsonObject> | undefined, key: string): string[] {
  const value = parent?.[key];
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

/** Returns the string at a field, `''` when there is none: the API makes no difference. */
export function stringAt(parent: Readonly<JsonObject> | undefined, key: string): string {
  const value = parent?.[key];
  return typeof value === 'string' ? value : '';
}

/** Returns the number at a field. */
export function numberAt(parent: Readonly<JsonObject> | undefined, key: string): number | undefined {
  const value = parent?.[key];
  return typeof value === 'number' ? value : undefined;
}

/** Returns the string values of a map field: labels, annotations, node selectors. */
export function stringMapAt(parent: Readonly<JsonObject> | undefined, key: string): Record<string, string> {
  const map = objectAt(parent, key);
  return map === undefined ? {} : (map as Record<string, string>);
}
