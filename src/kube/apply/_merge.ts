import { isObject, setOwn } from '../json/own-property.ts';
import type { FieldSet, Path, PathElement } from './field-set.ts';
import { itemElements, itemShape, shapeOfChild, type Shape } from './_shape.ts';

/** Lays a configuration over the stored object; what the configuration does not mention stays. */
export function mergeConfiguration(live: unknown, config: unknown, shape: Shape): unknown {
  if (config === undefined) return live;
  if (live === undefined || live === null || config === null) return config;
  switch (shape.is) {
    case 'leaf':
      return config;
    case 'struct':
    case 'map':
      return isObject(live) && isObject(config) ? mergeKeys(live, config, shape) : config;
    case 'keyed':
    case 'set':
      return Array.isArray(live) && Array.isArray(config) ? mergeItems(live, config, shape) : config;
  }
}

function mergeKeys(
  live: Readonly<Record<string, unknown>>,
  config: Readonly<Record<string, unknown>>,
  shape: Shape,
): Record<string, unknown> {
  const result: Record<string, unknown> = { ...live };
  for (const [key, value] of Object.entries(config)) {
    const old = Object.hasOwn(live, key) ? live[key] : undefined;
    setOwn(result, key, mergeConfiguration(old, value, shapeOfChild(shape, key) ?? { is: 'leaf' }));
  }
  return result;
}

/** Items that both have come in the configuration's order; items that only the object has keep their places between them. */
function mergeItems(
  live: readonly unknown[],
  config: readonly unknown[],
  shape: Extract<Shape, { is: 'keyed' | 'set' }>,
): unknown[] {
  const liveElements = itemElements(live, shape);
  const configElements = itemElements(config, shape);
  const liveItems = new Map(liveElements.map((element, index) => [element, live[index]]));
  const wanted = new Set(configElements);
  const shared = configElements.filter((element) => liveItems.has(element));
  const result: unknown[] = [];
  let liveAt = 0;
  let configAt = 0;
  let sharedAt = 0;
  const takeConfig = (): void => {
    const element = configElements[configAt] ?? '';
    result.push(mergeConfiguration(liveItems.get(element), config[configAt], itemShape(shape)));
    configAt += 1;
    if (shared[sharedAt] === element) sharedAt += 1;
  };
  while (liveAt < live.length || configAt < config.length) {
    const liveElement: PathElement | undefined = liveElements[liveAt];
    if (liveElement !== undefined && configAt < config.length) {
      if (liveElement === configElements[configAt]) {
        takeConfig();
        liveAt += 1;
        continue;
      }
      // An item that both have, but whose turn it is not: it comes where the configuration has it.
      if (wanted.has(liveElement) && shared[sharedAt] !== liveElement) {
        liveAt += 1;
        continue;
      }
    }
    if (liveElement !== undefined && !wanted.has(liveElement)) {
      result.push(live[liveAt]);
      liveAt += 1;
    } else if (configAt < config.length) takeConfig();
    else liveAt += 1;
  }
  return result;
}

/** Takes the given places, and all that is below them, out of an object. */
export function removePaths(value: unknown, paths: FieldSet, shape: Shape, path: Path = []): unknown {
  if (!paths.hasWithin(path)) return value;
  if (isObject(value)) {
    const result: Record<string, unknown> = {};
    for (const [key, child] of Object.entries(value)) {
      const at = [...path, `f:${key}`];
      if (paths.has(at)) continue;
      setOwn(result, key, removePaths(child, paths, shapeOfChild(shape, key) ?? { is: 'leaf' }, at));
    }
    return result;
  }
  if (Array.isArray(value) && (shape.is === 'keyed' || shape.is === 'set')) {
    const elements = itemElements(value, shape);
    return value.flatMap((item, index) => {
      const at = [...path, elements[index] ?? ''];
      return paths.has(at) ? [] : [removePaths(item, paths, itemShape(shape), at)];
    });
  }
  return value;
}
