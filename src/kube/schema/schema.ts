import { readFileSync } from 'node:fs';

/**
 * The fields of every kind, as data. A file per group and version, `core-v1.json`, maps a struct's name to
 *
 * - `g`: the kinds it is, as `[group, version, kind]`
 * - `a`: `atomic` when server-side apply owns it as a whole
 * - `r`: required fields
 * - `u`: fields of which at most one may be set: `of`, with their names in code, chosen by the field `by` if there is one
 * - `f`: fields; each a type, or an object of `t` type, `l` list type, `k` list map keys, `a` map type,
 *   `m` patch merge key, `p` patch strategy, `d` default, `z` 1 when the zero value is printed too, `e` enum, `ie` enum of items or values
 *
 * Types: `s` string, `b` boolean, `i32`, `i64`, `f64`, `bytes` (base64), `time`, `microtime`, `quantity`,
 * `intstr`, `raw` (any object), `fields` (FieldsV1), `[T]` list, `{T}` map, `core.v1.Container` struct.
 * A scalar with `?` tells absent from zero; without it, zero values are not printed unless `z` says so.
 */
interface RawField {
  readonly t: string;
  readonly l?: ListType;
  readonly k?: readonly string[];
  readonly a?: 'atomic' | 'granular';
  readonly m?: string;
  readonly p?: string;
  readonly d?: unknown;
  readonly z?: 1;
  readonly e?: readonly string[];
  readonly ie?: readonly string[];
}

interface RawStruct {
  readonly g?: readonly (readonly [string, string, string])[];
  readonly a?: 'atomic';
  readonly r?: readonly string[];
  readonly u?: UnionSchema;
  readonly f: Readonly<Record<string, string | RawField>>;
}

/** Fields of which at most one may be set. */
export interface UnionSchema {
  /** Field that says which one. */
  readonly by?: string;
  /** The fields with their names in code, which are the values of that field. */
  readonly of: Readonly<Record<string, string>>;
}

export type ListType = 'atomic' | 'set' | 'map';

export type Scalar =
  | 's'
  | 'b'
  | 'i32'
  | 'i64'
  | 'f64'
  | 'bytes'
  | 'time'
  | 'microtime'
  | 'quantity'
  | 'intstr'
  | 'raw'
  | 'fields';

/** What a field holds. */
export type TypeSchema =
  | {
      readonly is: 'scalar';
      readonly scalar: Scalar;
      readonly nullable: boolean;
      /** Of a `raw` in a custom kind: its objects are owned key by key. */
      readonly deduced?: true;
    }
  | { readonly is: 'list'; readonly items: TypeSchema }
  | { readonly is: 'map'; readonly values: TypeSchema }
  /** `struct` itself where the files do not know it: in the schema of a custom kind. */
  | { readonly is: 'struct'; readonly name: string; readonly struct?: StructSchema };

/** One field of a struct. */
export interface FieldSchema {
  readonly name: string;
  readonly type: TypeSchema;
  /** How server-side apply owns a list; `atomic` when absent. */
  readonly listType?: ListType;
  readonly listMapKeys?: readonly string[];
  readonly mapType?: 'atomic' | 'granular';
  readonly patchMergeKey?: string;
  /** `merge`, `replace`, `retainKeys`, or two of them. */
  readonly patchStrategy?: readonly string[];
  readonly default?: unknown;
  /** The zero value is printed: `""`, `0`, `false`, `{}`, and `null` for times. */
  readonly zeroDefault: boolean;
  readonly enum?: readonly string[];
  /** Values of each item of a list, or of each value of a map. */
  readonly itemEnum?: readonly string[];
  readonly required: boolean;
}

/** One struct of the API. */
export interface StructSchema {
  /** `core.v1.Container` */
  readonly name: string;
  /** `Container`: the name in decoding errors. */
  readonly goName: string;
  /** `v1.Container`: the type in decoding errors. */
  readonly goType: string;
  readonly atomic: boolean;
  /** Fields that must be there, as documents list them. */
  readonly required: readonly string[];
  readonly union?: UnionSchema;
  readonly kinds: readonly { readonly group: string; readonly version: string; readonly kind: string }[];
  readonly fields: ReadonlyMap<string, FieldSchema>;
  /** The type of fields that are not declared, where a custom kind keeps those. */
  readonly rest?: TypeSchema;
}

/** The groups that have a schema file, by the API group they describe. */
const files = new Map<string, string>([
  ['', 'core'],
  ['meta', 'meta'],
  ['apiregistration.k8s.io', 'apiregistration'],
  ['apps', 'apps'],
  ['batch', 'batch'],
  ['autoscaling', 'autoscaling'],
  ['certificates.k8s.io', 'certificates'],
  ['networking.k8s.io', 'networking'],
  ['policy', 'policy'],
  ['authentication.k8s.io', 'authentication'],
  ['authorization.k8s.io', 'authorization'],
  ['coordination.k8s.io', 'coordination'],
  ['events.k8s.io', 'events'],
  ['rbac.authorization.k8s.io', 'rbac'],
  ['apiextensions.k8s.io', 'apiextensions'],
  ['admissionregistration.k8s.io', 'admissionregistration'],
  ['scheduling.k8s.io', 'scheduling'],
  ['node.k8s.io', 'node'],
  ['discovery.k8s.io', 'discovery'],
  ['storage.k8s.io', 'storage'],
]);

const loaded = new Map<string, ReadonlyMap<string, RawStruct>>();
const structs = new Map<string, StructSchema>();

/** Finds a struct by its full name such as `core.v1.Container`. Reads the group's file on first use. */
export function findStruct(name: string): StructSchema | undefined {
  const known = structs.get(name);
  if (known !== undefined) return known;
  const dot = name.lastIndexOf('.');
  const raw = load(name.slice(0, dot).replace('.', '-')).get(name.slice(dot + 1));
  if (raw === undefined) return undefined;
  const struct = expand(name, raw);
  structs.set(name, struct);
  return struct;
}

/** Finds a struct that another one names. Throws when the schema files contradict themselves. */
export function structOf(name: string): StructSchema {
  const struct = findStruct(name);
  if (struct === undefined) throw new Error(`Cannot find struct "${name}": the schema does not have it`);
  return struct;
}

/** Returns the struct that a type holds. */
export function structIn(type: Extract<TypeSchema, { is: 'struct' }>): StructSchema {
  return type.struct ?? structOf(type.name);
}

/** Finds the struct of a kind; `undefined` when there is no schema for it. Options kinds live in every group. */
export function findKindStruct(group: string, version: string, kind: string): StructSchema | undefined {
  if (kind === 'DeleteOptions' || (kind === 'Status' && group === '')) return findStruct(`meta.v1.${kind}`);
  const file = files.get(group);
  return file === undefined ? undefined : findStruct(`${file}.${version}.${kind}`);
}

/** Lists structs and everything they refer to, each once. */
export function closureOf(roots: readonly StructSchema[]): StructSchema[] {
  const seen = new Map<string, StructSchema>();
  const visit = (struct: StructSchema): void => {
    if (seen.has(struct.name)) return;
    seen.set(struct.name, struct);
    for (const field of struct.fields.values()) {
      const name = structNameIn(field.type);
      if (name !== undefined) visit(structOf(name));
    }
  };
  roots.forEach(visit);
  return [...seen.values()];
}

/** Returns the struct that a type holds, directly or as items or values. */
export function structNameIn(type: TypeSchema): string | undefined {
  if (type.is === 'struct') return type.name;
  if (type.is === 'list') return structNameIn(type.items);
  if (type.is === 'map') return structNameIn(type.values);
  return undefined;
}

function load(file: string): ReadonlyMap<string, RawStruct> {
  const known = loaded.get(file);
  if (known !== undefined) return known;
  let text: string;
  try {
    text = readFileSync(new URL(`./${file}.json`, import.meta.url), 'utf8');
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'ENOENT') throw error;
    text = '{}';
  }
  const structsOfFile = new Map(Object.entries(JSON.parse(text) as Record<string, RawStruct>));
  loaded.set(file, structsOfFile);
  return structsOfFile;
}

function expand(name: string, raw: RawStruct): StructSchema {
  const [, version = '', goName = ''] = name.split('.');
  const required = new Set(raw.r);
  return {
    name,
    goName,
    goType: `${version}.${goName}`,
    atomic: raw.a === 'atomic',
    required: raw.r ?? [],
    ...(raw.u === undefined ? {} : { union: raw.u }),
    kinds: (raw.g ?? []).map(([group, kindVersion, kind]) => ({ group, version: kindVersion, kind })),
    fields: new Map(
      Object.entries(raw.f).map(([key, field]) => [key, expandField(key, field, required.has(key))]),
    ),
  };
}

function expandField(name: string, raw: string | RawField, required: boolean): FieldSchema {
  if (typeof raw === 'string') return { name, type: parseType(raw), required, zeroDefault: false };
  return {
    name,
    type: parseType(raw.t),
    required,
    zeroDefault: raw.z === 1,
    ...(raw.l === undefined ? {} : { listType: raw.l }),
    ...(raw.k === undefined ? {} : { listMapKeys: raw.k }),
    ...(raw.a === undefined ? {} : { mapType: raw.a }),
    ...(raw.m === undefined ? {} : { patchMergeKey: raw.m }),
    ...(raw.p === undefined ? {} : { patchStrategy: raw.p.split(',') }),
    ...(raw.d === undefined ? {} : { default: raw.d }),
    ...(raw.e === undefined ? {} : { enum: raw.e }),
    ...(raw.ie === undefined ? {} : { itemEnum: raw.ie }),
  };
}

function parseType(text: string): TypeSchema {
  if (text.startsWith('[')) return { is: 'list', items: parseType(text.slice(1, -1)) };
  if (text.startsWith('{')) return { is: 'map', values: parseType(text.slice(1, -1)) };
  if (text.includes('.')) return { is: 'struct', name: text };
  const nullable = text.endsWith('?');
  return { is: 'scalar', scalar: (nullable ? text.slice(0, -1) : text) as Scalar, nullable };
}
