import { isObject } from '../json/own-property.ts';
import { FieldSet, type Path } from './field-set.ts';
import { isMapKey, itemElements, itemShape, shapeOfChild, type Shape } from './_shape.ts';

/** Returns the paths that a configuration claims: each leaf, each item of a list, each key of a map. */
export function fieldSetOf(value: unknown, shape: Shape): FieldSet {
  const set = new FieldSet();
  visit(value, shape, [], set);
  return set;
}

function visit(value: unknown, shape: Shape, path: Path, set: FieldSet): void {
  switch (shape.is) {
    case 'leaf':
      set.add(path);
      return;
    case 'struct':
    case 'map':
      if (isObject(value)) visitKeys(value, shape, path, set);
      else set.add(path);
      return;
    case 'keyed':
    case 'set': {
      if (!Array.isArray(value)) return;
      const elements = itemElements(value, shape);
      value.forEach((item, index) => {
        const at = [...path, elements[index] ?? ''];
        visit(item, itemShape(shape), at, set);
        set.add(at);
      });
    }
  }
}

function visitKeys(value: Readonly<Record<string, unknown>>, shape: Shape, path: Path, set: FieldSet): void {
  for (const [key, child] of Object.entries(value)) {
    const childShape = shapeOfChild(shape, key);
    if (childShape === undefined) continue;
    const at = [...path, `f:${key}`];
    visit(child, childShape, at, set);
    const isEmpty = child === null || (isObject(child) && Object.keys(child).length === 0);
    if (isEmpty || isMapKey(shape, key)) set.add(at);
  }
}
