import { getOwn, isObject, setOwn } from '../json/own-property.ts';

/** A schema of a CustomResourceDefinition: the part of JSON Schema that the API allows, with its own extensions. */
export interface StructuralSchema {
  readonly type?: string;
  readonly format?: string;
  readonly description?: string;
  readonly nullable?: boolean;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly additionalProperties?: boolean | StructuralSchema;
  readonly items?: StructuralSchema;
  readonly required?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly exclusiveMaximum?: boolean;
  readonly multipleOf?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly allOf?: readonly StructuralSchema[];
  readonly anyOf?: readonly StructuralSchema[];
  readonly oneOf?: readonly StructuralSchema[];
  readonly not?: StructuralSchema;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-embedded-resource'?: boolean;
  readonly 'x-kubernetes-list-type'?: string;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: string;
  readonly 'x-kubernetes-validations'?: readonly unknown[];
}

/** Fields that every object has, whatever its schema says. */
const OBJECT_FIELDS: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata']);

/** Returns the schema of the values of a map; `undefined` when any value may stand there or none. */
export function valuesOf(schema: StructuralSchema): StructuralSchema | undefined {
  return isObject(schema.additionalProperties) ? schema.additionalProperties : undefined;
}

/**
 * Returns the value without the fields that its schema does not know, and adds their paths to `unknown`.
 *
 * @param root the value is a whole object, so that apiVersion, kind and metadata stay
 */
export function prune(
  value: unknown,
  schema: StructuralSchema,
  unknown: string[],
  path = '',
  root = false,
): unknown {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined) return value;
    return value.map((item, index) => prune(item, items, unknown, `${path}[${index}]`));
  }
  if (!isObject(value)) return value;
  const keepsAll = schema['x-kubernetes-preserve-unknown-fields'] === true;
  const values = valuesOf(schema);
  const isObjectItself = root || schema['x-kubernetes-embedded-resource'] === true;
  const kept: Record<string, unknown> = {};
  for (const [key, child] of Object.entries(value)) {
    const at = path === '' ? key : `${path}.${key}`;
    const known = getOwn(schema.properties ?? {}, key) as StructuralSchema | undefined;
    if (isObjectItself && OBJECT_FIELDS.has(key)) setOwn(kept, key, child);
    else if (known !== undefined) setOwn(kept, key, prune(child, known, unknown, at));
    else if (values !== undefined) setOwn(kept, key, prune(child, values, unknown, at));
    else if (keepsAll || schema.additionalProperties === true) setOwn(kept, key, child);
    else unknown.push(at);
  }
  return kept;
}

/** Fills in, in place, the defaults of what is absent, and of a null that may not stay one. */
export function fillDefaults(value: unknown, schema: StructuralSchema): void {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items !== undefined) for (const item of value) fillDefaults(item, items);
    return;
  }
  if (!isObject(value)) return;
  for (const [key, child] of Object.entries(schema.properties ?? {})) {
    const present = getOwn(value, key);
    const isBareNull = present === null && child.nullable !== true;
    if (child.default !== undefined && (present === undefined || isBareNull)) {
      setOwn(value, key, structuredClone(child.default));
    }
    const filled = getOwn(value, key);
    if (filled !== undefined) fillDefaults(filled, child);
  }
  const values = valuesOf(schema);
  if (values === undefined) return;
  for (const [key, child] of Object.entries(value)) {
    if (!Object.hasOwn(schema.properties ?? {}, key)) fillDefaults(child, values);
  }
}
