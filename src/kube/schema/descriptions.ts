import { readFileSync } from 'node:fs';

/** `core.v1.PodList` */
const LIST = /\.([^.]+)List$/;

let loaded: ReadonlyMap<string, ReadonlyMap<string, string>> | undefined;

/**
 * Returns what a struct (`''`) or one of its fields means, in our own words; `undefined` for what the API does not have.
 * Texts live in `descriptions.json`; a field that many structs share is described there under `*`, and lists are all alike.
 */
export function describe(struct: string, field: string): string | undefined {
  loaded ??= load();
  const own = loaded.get(struct)?.get(field);
  if (own !== undefined) return own;
  if (field !== '') return loaded.get('*')?.get(field);
  const item = LIST.exec(struct)?.[1];
  return item === undefined ? undefined : `A list of objects of kind ${item}.`;
}

function load(): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const text = readFileSync(new URL('./descriptions.json', import.meta.url), 'utf8');
  const raw = JSON.parse(text) as Record<string, Record<string, string>>;
  return new Map(Object.entries(raw).map(([struct, fields]) => [struct, new Map(Object.entries(fields))]));
}
