import { isObject } from '../json/own-property.ts';
import { structIn, type FieldSchema, type StructSchema, type TypeSchema } from '../schema/schema.ts';
import { ApplyError } from './apply-error.ts';
import type { PathElement } from './field-set.ts';

/**
 * How apply looks at a value: as one thing (`leaf`), a struct with known fields, a map with any keys, a list whose
 * items are told apart by keys, or a set of scalars.
 */
export type Shape =
  | { readonly is: 'leaf' }
  | { readonly is: 'struct'; readonly struct: StructSchema }
  | { readonly is: 'map'; readonly values: Shape }
  | {
      readonly is: 'keyed';
      /** In the order in which an item is named by them. */
      readonly keys: readonly string[];
      readonly items: Shape;
      readonly struct: StructSchema;
    }
  | { readonly is: 'set' };

const LEAF: Shape = { is: 'leaf' };

/** Anything: objects are owned key by key, whatever else as one thing. */
const DEDUCED: { readonly is: 'map'; values: Shape } = { is: 'map', values: LEAF };
DEDUCED.values = DEDUCED;

/** Returns the shape of a whole kind. */
export function shapeOfStruct(struct: StructSchema): Shape {
  return struct.atomic ? LEAF : { is: 'struct', struct };
}

const shapes = new WeakMap<FieldSchema, Shape>();

/** Returns the shape of a field: the field's own marks decide over its type. */
export function shapeOfField(field: FieldSchema): Shape {
  let shape = shapes.get(field);
  if (shape === undefined) shapes.set(field, (shape = newShapeOfField(field)));
  return shape;
}

function newShapeOfField(field: FieldSchema): Shape {
  const { type } = field;
  if (field.mapType === 'atomic') return LEAF;
  if (type.is === 'list') {
    if (field.listType === 'set') return { is: 'set' };
    if (field.listType !== 'map' || field.listMapKeys === undefined || type.items.is !== 'struct')
      return LEAF;
    const struct = structIn(type.items);
    return { is: 'keyed', keys: field.listMapKeys.toSorted(), items: shapeOfStruct(struct), struct };
  }
  return shapeOfType(type);
}

function shapeOfType(type: TypeSchema): Shape {
  switch (type.is) {
    case 'struct':
      return shapeOfStruct(structIn(type));
    case 'map':
      return { is: 'map', values: shapeOfType(type.values) };
    case 'list':
      return LEAF;
    case 'scalar':
      return type.deduced ? DEDUCED : LEAF;
  }
}

/** Returns the shape of a key's value; `undefined` when the struct has no such field. */
export function shapeOfChild(shape: Shape, key: string): Shape | undefined {
  if (shape.is === 'map') return shape.values;
  if (shape.is !== 'struct') return undefined;
  const field = shape.struct.fields.get(key);
  if (field !== undefined) return shapeOfField(field);
  return shape.struct.rest === undefined ? undefined : shapeOfType(shape.struct.rest);
}

/** Tells whether a key is one of a map's, not a field: such keys are owned beside what is below them. */
export function isMapKey(shape: Shape, key: string): boolean {
  return shape.is === 'map' || (shape.is === 'struct' && !shape.struct.fields.has(key));
}

/** Tells whether a field is a list or map that is printed even when there is none. */
export function isPrintedEmpty(shape: Shape, key: string): boolean {
  if (shape.is !== 'struct') return false;
  const field = shape.struct.fields.get(key);
  return field !== undefined && field.required && (field.type.is === 'list' || field.type.is === 'map');
}

/** Names an item of a keyed list; keys that are absent count as their default. */
export function keyElement(item: unknown, shape: Extract<Shape, { is: 'keyed' }>): PathElement {
  if (!isObject(item))
    throw new ApplyError('BAD_CONFIGURATION', 'associative list with keys may not have non-map elements');
  const entries = shape.keys.map((key) => {
    const value = Object.hasOwn(item, key) ? item[key] : shape.struct.fields.get(key)?.default;
    if (value === undefined || value === null) {
      throw new ApplyError(
        'BAD_CONFIGURATION',
        `associative list with keys has an element that omits key field ${JSON.stringify(key)} (and doesn't have default value)`,
      );
    }
    return `${JSON.stringify(key)}:${JSON.stringify(value)}`;
  });
  return `k:{${entries.join(',')}}`;
}

/** Names an item of a set. */
export function valueElement(item: unknown): PathElement {
  return `v:${JSON.stringify(item)}`;
}

/** Names the items of a keyed list or a set, in order. */
export function itemElements(
  list: readonly unknown[],
  shape: Extract<Shape, { is: 'keyed' | 'set' }>,
): PathElement[] {
  return list.map((item) => (shape.is === 'keyed' ? keyElement(item, shape) : valueElement(item)));
}

/** Returns the shape of the items of a keyed list or a set. */
export function itemShape(shape: Extract<Shape, { is: 'keyed' | 'set' }>): Shape {
  return shape.is === 'keyed' ? shape.items : LEAF;
}
