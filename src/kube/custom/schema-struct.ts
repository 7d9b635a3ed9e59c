import {
  structOf,
  type FieldSchema,
  type ListType,
  type StructSchema,
  type TypeSchema,
} from '../schema/schema.ts';
import { valuesOf, type StructuralSchema } from './structural-schema.ts';

/** What keeps unknown fields. */
const DEDUCED: TypeSchema = { is: 'scalar', scalar: 'raw', nullable: true, deduced: true };

/** Turns the schema of a custom kind into the struct that field ownership works with. */
export function structOfSchema(kind: string, version: string, schema: StructuralSchema): StructSchema {
  const properties = { ...schema.properties };
  for (const own of ['apiVersion', 'kind', 'metadata']) delete properties[own];
  const struct = structFrom(kind, version, { ...schema, properties });
  const text: TypeSchema = { is: 'scalar', scalar: 's', nullable: true };
  const field = (name: string, type: TypeSchema): FieldSchema => ({
    name,
    type,
    zeroDefault: false,
    required: false,
  });
  const fields = new Map(struct.fields);
  fields.set('apiVersion', field('apiVersion', text));
  fields.set('kind', field('kind', text));
  const metadata = structOf('meta.v1.ObjectMeta');
  fields.set('metadata', field('metadata', { is: 'struct', name: metadata.name }));
  return { ...struct, fields };
}

function structFrom(name: string, version: string, schema: StructuralSchema): StructSchema {
  const fields = Object.entries(schema.properties ?? {}).map(([key, child]): [string, FieldSchema] => [
    key,
    fieldFrom(key, child, (schema.required ?? []).includes(key), version),
  ]);
  return {
    name,
    goName: name,
    goType: `${version}.${name}`,
    atomic: schema['x-kubernetes-map-type'] === 'atomic',
    required: schema.required ?? [],
    kinds: [],
    fields: new Map(fields),
    ...(keepsUnknown(schema) ? { rest: DEDUCED } : {}),
  };
}

function fieldFrom(
  name: string,
  schema: StructuralSchema,
  isRequired: boolean,
  version: string,
): FieldSchema {
  const listType = schema['x-kubernetes-list-type'];
  const keys = schema['x-kubernetes-list-map-keys'];
  return {
    name,
    type: typeFrom(name, schema, version),
    zeroDefault: false,
    // Custom objects print an empty list only when it was given.
    required: false,
    ...(isListType(listType) ? { listType } : {}),
    ...(keys === undefined ? {} : { listMapKeys: keys }),
    ...(schema['x-kubernetes-map-type'] === 'atomic' ? { mapType: 'atomic' as const } : {}),
    ...(isRequired || schema.default === undefined ? {} : { default: schema.default }),
  };
}

function keepsUnknown(schema: StructuralSchema): boolean {
  return schema['x-kubernetes-preserve-unknown-fields'] === true;
}

function isListType(value: string | undefined): value is ListType {
  return value === 'atomic' || value === 'set' || value === 'map';
}

function typeFrom(name: string, schema: StructuralSchema, version: string): TypeSchema {
  const raw: TypeSchema = { is: 'scalar', scalar: 'raw', nullable: true };
  if (keepsUnknown(schema) && schema.properties === undefined) return DEDUCED;
  switch (schema.type ?? '') {
    case 'object': {
      const values = valuesOf(schema);
      if (values !== undefined) return { is: 'map', values: typeFrom(name, values, version) };
      if (schema.properties === undefined) return raw;
      return { is: 'struct', name, struct: structFrom(name, version, schema) };
    }
    case 'array':
      return { is: 'list', items: schema.items === undefined ? raw : typeFrom(name, schema.items, version) };
    case 'string':
      return { is: 'scalar', scalar: 's', nullable: true };
    case 'integer':
      return { is: 'scalar', scalar: 'i64', nullable: true };
    case 'number':
      return { is: 'scalar', scalar: 'f64', nullable: true };
    case 'boolean':
      return { is: 'scalar', scalar: 'b', nullable: true };
    default:
      return raw;
  }
}
