import { isObject } from '../json/own-property.ts';
import type { Built } from './built.ts';
import { KustomizeError } from './kustomize-error.ts';
import type { FieldOptions, Replacement, Target } from './kustomization.ts';
import { isSelected } from './select-objects.ts';

type Holder = Record<string, unknown> | unknown[];

const NAME = 'metadata.name';

/**
 * Copies a value from a field of one object to fields of others.
 *
 * @param where names the replacement in errors
 * @throws KustomizeError `BAD_KUSTOMIZATION` when source or target is not there
 */
export function replaceValues(built: readonly Built[], replacement: Replacement, where: string): void {
  const fail = (why: string): never => {
    throw new KustomizeError('BAD_KUSTOMIZATION', `Cannot apply ${where}: ${why}`);
  };
  const { source, targets = [] } = replacement;
  const value = source === undefined ? replacement.sourceValue : valueOf(built, source, fail);
  if (value === undefined) return fail('it has no source');
  for (const { select, reject = [], fieldPaths = [NAME], options = {} } of targets) {
    if (select === undefined) fail('a target has no select');
    for (const each of built) {
      if (!isSelected(each, select ?? {})) continue;
      if (reject.some((one) => isNamed(one) && isSelected(each, one))) continue;
      for (const path of fieldPaths) {
        const places = placesOf(each.object as unknown as Holder, splitPath(path), options.create === true);
        if (places.length === 0) {
          fail(`${each.object.kind} ${each.object.metadata.name} has no field ${JSON.stringify(path)}`);
        }
        for (const place of places) setAt(place, value, options, fail);
      }
    }
  }
}

/** An empty entry would reject everything. */
function isNamed(target: Target): boolean {
  return Object.values(target).some((pattern) => pattern !== '');
}

function valueOf(
  built: readonly Built[],
  source: NonNullable<Replacement['source']>,
  fail: (why: string) => never,
): unknown {
  const { fieldPath = NAME, options, ...target } = source;
  const found = built.filter((each) => isSelected(each, target));
  const [first] = found;
  if (first === undefined) return fail('no object is the source');
  if (found.length > 1) fail(`${found.length} objects could be the source`);
  const [place] = placesOf(first.object as unknown as Holder, splitPath(fieldPath), false);
  if (place === undefined) return fail(`the source has no field ${JSON.stringify(fieldPath)}`);
  const value = read(place);
  if (options?.delimiter === undefined || options.delimiter === '') return value;
  const part = String(value).split(options.delimiter)[options.index ?? 0];
  return part ?? fail(`the source has no part ${options.index ?? 0}`);
}

interface Place {
  readonly holder: Holder;
  readonly key: string;
}

/** Splits at dots; a dot within brackets or behind a backslash is none. */
export function splitPath(path: string): string[] {
  const parts = path.match(/(?:\[[^\]]*\]|\\\.|[^.])+/g) ?? [];
  return parts.map((part) => part.replaceAll('\\.', '.'));
}

/** Finds the fields that a path leads to: several with `*` or a condition on items. */
function placesOf(root: Holder, path: readonly string[], create: boolean): Place[] {
  let places: Place[] = [{ holder: { root }, key: 'root' }];
  for (const part of path) {
    const next: Place[] = [];
    for (const place of places) {
      let holder = read(place);
      if ((holder === undefined || holder === null) && create) {
        holder = /^(?:\d+|\[.*=.*\])$/.test(part) ? [] : {};
        write(place, holder);
      }
      if (!isHolder(holder)) continue;
      for (const key of keysOf(holder, part, create)) next.push({ holder, key });
    }
    places = next;
  }
  return places;
}

function keysOf(holder: Holder, part: string, create: boolean): string[] {
  const inner = /^\[(.*)\]$/.exec(part)?.[1];
  if (Array.isArray(holder)) {
    const indexes = [...holder.keys()].map(String);
    if (part === '*') return indexes;
    const [, key = '', wanted = ''] = /^([^=]+)=(.*)$/.exec(inner ?? '') ?? [];
    // One past the end makes a new item.
    const isNext = create && part === String(holder.length);
    if (key === '') return isNext || indexes.includes(part) ? [part] : [];
    return indexes.filter((index) => {
      const item: unknown = holder[Number(index)];
      return isObject(item) && Object.hasOwn(item, key) && String(item[key]) === wanted;
    });
  }
  const name = inner ?? part;
  if (part === '*') return Object.keys(holder);
  return create || Object.hasOwn(holder, name) ? [name] : [];
}

function isHolder(value: unknown): value is Holder {
  return typeof value === 'object' && value !== null;
}

function read({ holder, key }: Place): unknown {
  if (Array.isArray(holder)) return holder[Number(key)];
  return Object.hasOwn(holder, key) ? holder[key] : undefined;
}

function write({ holder, key }: Place, value: unknown): void {
  if (Array.isArray(holder)) holder[Number(key)] = value;
  else Object.defineProperty(holder, key, { value, writable: true, enumerable: true, configurable: true });
}

function setAt(place: Place, value: unknown, options: FieldOptions, fail: (why: string) => never): void {
  const old = read(place);
  if (options.delimiter !== undefined && options.delimiter !== '') {
    if (typeof old !== 'string') return fail('only a part of text can be replaced');
    const parts = old.split(options.delimiter);
    const index = options.index ?? 0;
    if (index < 0) parts.unshift(String(value));
    else if (index >= parts.length) parts.push(String(value));
    else parts[index] = String(value);
    write(place, parts.join(options.delimiter));
    return;
  }
  // What was a number stays one, what was text stays text.
  if (typeof old === 'string' && !isHolder(value)) write(place, String(value));
  else if (typeof old === 'number' && typeof value === 'string' && /^-?\d+$/.test(value)) {
    write(place, Number(value));
  } else write(place, structuredClone(value));
}
