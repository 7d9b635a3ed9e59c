import { readFileSync } from 'node:fs';

let loaded: ReadonlyMap<string, ReadonlyMap<string, string>> | undefined;

/**
 * Returns what a struct (`''`) or one of its fields means, in our own words; `undefined` for what few people ask.
 * Texts live in `descriptions.json`; a field that many structs share is described there under `*`.
 */
export function describe(struct: string, field: string): string | undefined {
  loaded ??= load();
  return loaded.get(struct)?.get(field) ?? (field === '' ? undefined : loaded.get('*')?.get(field));
}

function load(): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const text = readFileSync(new URL('./descriptions.json', import.meta.url), 'utf8');
  const raw = JSON.parse(text) as Record<string, Record<string, string>>;
  return new Map(Object.entries(raw).map(([struct, fields]) => [struct, new Map(Object.entries(fields))]));
}
