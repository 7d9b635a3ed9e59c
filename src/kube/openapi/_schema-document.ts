import { isObject } from '../json/own-property.ts';
import { describe } from '../schema/descriptions.ts';
import type { FieldSchema, Scalar, StructSchema, TypeSchema } from '../schema/schema.ts';

/** The two dialects differ in where definitions live and in how unions of types are said. */
export type Dialect = 'v2' | 'v3';

/** A piece of an OpenAPI document. */
export type Fragment = Record<string, unknown>;

const PREFIXES: readonly (readonly [string, string])[] = [
  ['meta.', 'io.k8s.apimachinery.pkg.apis.meta.'],
  ['version.v1.', 'io.k8s.apimachinery.pkg.version.'],
];

/** Types that the API defines once and names by reference, with their definitions in both dialects. */
const SHARED: ReadonlyMap<
  Scalar,
  { readonly name: string; readonly v2: Fragment; readonly v3: Fragment; readonly description: string }
> = new Map([
  [
    'quantity',
    {
      name: 'io.k8s.apimachinery.pkg.api.resource.Quantity',
      v2: { type: 'string' },
      v3: { oneOf: [{ type: 'string' }, { type: 'number' }] },
      description: 'An amount with an optional unit, such as 500m, 2, 1.5Gi or 1e3.',
    },
  ],
  [
    'intstr',
    {
      name: 'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
      v2: { type: 'string', format: 'int-or-string' },
      v3: { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] },
      description: 'A whole number, or text such as a percentage or a port name.',
    },
  ],
  [
    'time',
    {
      name: 'io.k8s.apimachinery.pkg.apis.meta.v1.Time',
      v2: { type: 'string', format: 'date-time' },
      v3: { type: 'string', format: 'date-time' },
      description: 'A moment in RFC 3339, to the second.',
    },
  ],
  [
    'microtime',
    {
      name: 'io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime',
      v2: { type: 'string', format: 'date-time' },
      v3: { type: 'string', format: 'date-time' },
      description: 'A moment in RFC 3339, to the microsecond.',
    },
  ],
  [
    'raw',
    {
      name: 'io.k8s.apimachinery.pkg.runtime.RawExtension',
      v2: { type: 'object' },
      v3: { type: 'object' },
      description: 'Any object.',
    },
  ],
  [
    'fields',
    {
      name: 'io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1',
      v2: { type: 'object' },
      v3: { type: 'object' },
      description: 'A set of field paths as a tree: f: names a field, k: an item by its keys, v: a value.',
    },
  ],
]);

const SIMPLE: Readonly<Record<string, Fragment | undefined>> = {
  s: { type: 'string' },
  b: { type: 'boolean' },
  i32: { type: 'integer', format: 'int32' },
  i64: { type: 'integer', format: 'int64' },
  f64: { type: 'number', format: 'double' },
  bytes: { type: 'string', format: 'byte' },
};

/** The name of the type that patches are declared with. */
export const patchDefinition = 'io.k8s.apimachinery.pkg.apis.meta.v1.Patch';

/** Returns the name of a struct in documents: `io.k8s.api.core.v1.Pod`. */
export function definitionName(structName: string): string {
  for (const [prefix, full] of PREFIXES) {
    if (structName.startsWith(prefix)) return full + structName.slice(prefix.length);
  }
  return `io.k8s.api.${structName}`;
}

/** Makes a reference to a definition. */
export function reference(name: string, dialect: Dialect): Fragment {
  return { $ref: `${dialect === 'v2' ? '#/definitions/' : '#/components/schemas/'}${name}` };
}

/** Kinds that every group has as its own beside the shared one. */
const IN_EVERY_GROUP: ReadonlySet<string> = new Set(['meta.v1.DeleteOptions', 'meta.v1.WatchEvent']);

/** A group and its version. */
export interface GroupVersion {
  readonly group: string;
  readonly version: string;
}

/** Makes the definitions of structs and of the shared types, by name in order. */
export function definitions(
  structs: readonly StructSchema[],
  groups: readonly GroupVersion[],
  dialect: Dialect,
): Fragment {
  const made: [string, Fragment][] = structs.map((struct) => [
    definitionName(struct.name),
    structDefinition(struct, groups, dialect),
  ]);
  for (const shared of SHARED.values()) {
    made.push([shared.name, { description: shared.description, ...shared[dialect] }]);
  }
  made.push([
    patchDefinition,
    { description: 'A change to an object, in one of the patch formats.', type: 'object' },
  ]);
  return Object.fromEntries(made.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Keeps the definitions that paths refer to, directly or by others. */
export function reachable(paths: Fragment, all: Fragment): Fragment {
  const found = new Set<string>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) return value.forEach(visit);
    if (!isObject(value)) return;
    for (const [key, entry] of Object.entries(value)) {
      if (key !== '$ref' || typeof entry !== 'string') visit(entry);
      else {
        const name = entry.slice(entry.lastIndexOf('/') + 1);
        if (found.has(name)) continue;
        found.add(name);
        visit(all[name]);
      }
    }
  };
  visit(paths);
  return Object.fromEntries(Object.entries(all).filter(([name]) => found.has(name)));
}

function structDefinition(struct: StructSchema, groups: readonly GroupVersion[], dialect: Dialect): Fragment {
  const description = describe(struct.name, '');
  const [first] = struct.kinds;
  const inGroups = groups.filter(({ group }) => group !== '');
  const kinds =
    first !== undefined && IN_EVERY_GROUP.has(struct.name)
      ? [first, ...inGroups.map(({ group, version }) => ({ group, version, kind: first.kind }))]
      : struct.kinds;
  return {
    ...(description === undefined ? {} : { description }),
    type: 'object',
    ...(struct.required.length === 0 ? {} : { required: struct.required }),
    properties: Object.fromEntries(
      [...struct.fields.values()].map((field) => [field.name, property(struct, field, dialect)]),
    ),
    ...(kinds.length === 0
      ? {}
      : {
          'x-kubernetes-group-version-kind': kinds.map(({ group, kind, version }) => ({
            group,
            kind,
            version,
          })),
        }),
    ...(struct.atomic ? { 'x-kubernetes-map-type': 'atomic' } : {}),
    ...(struct.union === undefined
      ? {}
      : {
          'x-kubernetes-unions': [
            {
              ...(struct.union.by === undefined ? {} : { discriminator: struct.union.by }),
              'fields-to-discriminateBy': struct.union.of,
            },
          ],
        }),
  };
}

function property(struct: StructSchema, field: FieldSchema, dialect: Dialect): Fragment {
  const description = describe(struct.name, field.name);
  const fallback = dialect === 'v3' ? defaultOf(field) : field.default;
  const schema = typeFragment(field.type, dialect, field.itemEnum);
  const isReference = '$ref' in schema;
  const about = description === undefined ? {} : { description };
  const given = fallback === undefined ? {} : { default: fallback };
  const more = { ...(field.enum === undefined ? {} : { enum: field.enum }), ...extensions(field) };
  if (!isReference) return { ...about, ...schema, ...given, ...more };
  // A reference may carry nothing beside it, so what belongs to the field goes around it.
  return { ...about, ...given, ...(dialect === 'v3' ? { allOf: [schema] } : schema), ...more };
}

function defaultOf(field: FieldSchema): unknown {
  if (field.default !== undefined) return field.default;
  if (!field.zeroDefault || field.type.is === 'list' || field.type.is === 'map') return undefined;
  if (field.type.is === 'struct') return {};
  switch (field.type.scalar) {
    case 's':
      return '';
    case 'i32':
    case 'i64':
      return 0;
    case 'b':
      return false;
    case 'bytes':
    case 'f64':
    case 'fields':
    case 'intstr':
    case 'microtime':
    case 'quantity':
    case 'raw':
    case 'time':
      return undefined;
  }
}

function typeFragment(type: TypeSchema, dialect: Dialect, itemEnum?: readonly string[]): Fragment {
  const choice = itemEnum === undefined ? {} : { enum: itemEnum };
  switch (type.is) {
    case 'struct':
      return reference(definitionName(type.name), dialect);
    case 'list':
      return { type: 'array', items: { ...typeFragment(type.items, dialect), ...choice } };
    case 'map':
      return { type: 'object', additionalProperties: { ...typeFragment(type.values, dialect), ...choice } };
    case 'scalar': {
      const shared = SHARED.get(type.scalar);
      if (shared !== undefined) return reference(shared.name, dialect);
      return { ...SIMPLE[type.scalar] };
    }
  }
}

function extensions(field: FieldSchema): Fragment {
  return {
    ...(field.listMapKeys === undefined ? {} : { 'x-kubernetes-list-map-keys': field.listMapKeys }),
    ...(field.listType === undefined ? {} : { 'x-kubernetes-list-type': field.listType }),
    ...(field.mapType === undefined ? {} : { 'x-kubernetes-map-type': field.mapType }),
    ...(field.patchMergeKey === undefined ? {} : { 'x-kubernetes-patch-merge-key': field.patchMergeKey }),
    ...(field.patchStrategy === undefined
      ? {}
      : { 'x-kubernetes-patch-strategy': field.patchStrategy.join(',') }),
  };
}
