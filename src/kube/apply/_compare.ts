import { isDeepStrictEqual } from 'node:util';

import { isObject } from '../json/own-property.ts';
import { FieldSet, type Node, type Path, type PathElement } from './field-set.ts';
import { isPrintedEmpty, itemElements, itemShape, shapeOfChild, type Shape } from './_shape.ts';

/** What differs between two states of an object. */
export interface Comparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

/** Compares two states, path by path. */
export function compareStates(before: unknown, after: unknown, shape: Shape): Comparison {
  const walker = new Comparer();
  walker.compare(before, after, shape, []);
  return walker;
}

class Comparer implements Comparison {
  readonly added = new FieldSet();
  readonly modified = new FieldSet();
  readonly removed = new FieldSet();

  compare(before: unknown, after: unknown, shape: Shape, path: Path): void {
    if (before === undefined && path.length > 0) {
      this.added.graft(path, allOf(after, shape));
      return;
    }
    if (this.#isLeaf(before, after, shape)) {
      this.#leaf(before, after, path);
      return;
    }
    switch (shape.is) {
      case 'struct':
      case 'map':
        this.#keys(before, after, shape, path);
        break;
      case 'keyed':
      case 'set':
        this.#items(asList(before), asList(after), shape, path);
        break;
      case 'leaf':
    }
    if (before === undefined) this.added.add(path);
    else if (after === undefined) this.removed.add(path);
  }

  /** Two empty values have nothing to descend into; two values of different forms are two things. */
  #isLeaf(before: unknown, after: unknown, shape: Shape): boolean {
    if (shape.is === 'leaf') return true;
    if (isEmpty(before) && isEmpty(after)) return true;
    const isForm = shape.is === 'struct' || shape.is === 'map' ? isObject : Array.isArray;
    return [before, after].some((value) => value !== undefined && value !== null && !isForm(value));
  }

  #leaf(before: unknown, after: unknown, path: Path): void {
    if (before === undefined) this.added.add(path);
    else if (after === undefined) this.removed.add(path);
    else if (!isDeepStrictEqual(before, after)) this.modified.add(path);
  }

  #keys(before: unknown, after: unknown, shape: Shape, path: Path): void {
    const olds = asObject(before);
    const news = asObject(after);
    for (const key of new Set([...Object.keys(olds), ...Object.keys(news)])) {
      const childShape = shapeOfChild(shape, key);
      if (childShape === undefined) continue;
      const printed = isPrintedEmpty(shape, key);
      const old = Object.hasOwn(olds, key) ? olds[key] : printed && before !== undefined ? null : undefined;
      const now = Object.hasOwn(news, key) ? news[key] : printed && after !== undefined ? null : undefined;
      this.compare(old, now, childShape, [...path, `f:${key}`]);
    }
  }

  #items(
    before: readonly unknown[],
    after: readonly unknown[],
    shape: Extract<Shape, { is: 'keyed' | 'set' }>,
    path: Path,
  ): void {
    const old = group(before, shape);
    const now = group(after, shape);
    for (const element of new Set([...old.keys(), ...now.keys()])) {
      const at = [...path, element];
      const was = old.get(element) ?? [];
      const is = now.get(element) ?? [];
      // Entries that repeat a key cannot be told apart: they count as one thing.
      if (was.length > 1 || is.length > 1) {
        this.#leaf(was.length === 0 ? undefined : was, is.length === 0 ? undefined : is, at);
      } else this.compare(was[0], is[0], itemShape(shape), at);
    }
  }
}

/** Returns what is added where there was nothing: a value with all that it holds. */
function allOf(value: unknown, shape: Shape): Node {
  const children = new Map<PathElement, Node>();
  switch (shape.is) {
    case 'struct':
    case 'map':
      if (isObject(value)) addKeys(value, shape, children);
      break;
    case 'keyed':
    case 'set':
      if (Array.isArray(value)) addItems(value, shape, children);
      break;
    case 'leaf':
  }
  return { member: true, children };
}

function addKeys(value: Record<string, unknown>, shape: Shape, into: Map<PathElement, Node>): void {
  for (const key of Object.keys(value)) {
    const childShape = shapeOfChild(shape, key);
    if (childShape !== undefined) into.set(`f:${key}`, allOf(value[key], childShape));
  }
}

function addItems(
  list: readonly unknown[],
  shape: Extract<Shape, { is: 'keyed' | 'set' }>,
  into: Map<PathElement, Node>,
): void {
  const items = itemShape(shape);
  for (const [element, same] of group(list, shape)) {
    into.set(element, same.length > 1 ? { member: true, children: new Map() } : allOf(same[0], items));
  }
}

function group(
  list: readonly unknown[],
  shape: Extract<Shape, { is: 'keyed' | 'set' }>,
): Map<string, unknown[]> {
  const groups = new Map<string, unknown[]>();
  const elements = itemElements(list, shape);
  list.forEach((item, index) => {
    const element = elements[index] ?? '';
    const same = groups.get(element);
    if (same === undefined) groups.set(element, [item]);
    else same.push(item);
  });
  return groups;
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isObject(value) && Object.keys(value).length === 0;
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return isObject(value) ? value : {};
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
