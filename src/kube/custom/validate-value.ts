import { isDeepStrictEqual } from 'node:util';
import {
  duplicateValue,
  invalidValue,
  notSupported,
  required,
  tooLong,
  tooMany,
  type FieldError,
} from '../field-error.ts';
import { getOwn, isObject } from '../json/own-property.ts';
import { parseTime } from '../time.ts';
import { valuesOf, type StructuralSchema } from './structural-schema.ts';

/**
 * Checks a value against a schema; empty when it fits. Paths and texts are those of the API's validator.
 *
 * @param path of the value; `''` for a whole object, whose metadata has its own rules
 */
export function validateValue(value: unknown, schema: StructuralSchema, path: string): FieldError[] {
  const errors: FieldError[] = [];
  check(value, schema, path, errors);
  return errors;
}

const body = (path: string): string => (path === '' ? '' : `${path} in body`);

function check(value: unknown, schema: StructuralSchema, path: string, errors: FieldError[]): void {
  if (value === null && schema.nullable === true) return;
  const fault = typeFault(value, schema);
  if (fault !== undefined) {
    errors.push({
      type: 'FieldValueTypeInvalid',
      field: path === '' ? '<nil>' : path,
      message: `Invalid value: "${kindOf(value)}": ${body(path)} must be of type ${fault}: "${kindOf(value)}"`,
    });
    return;
  }
  if (schema.enum !== undefined && !schema.enum.some((allowed) => isDeepStrictEqual(allowed, value))) {
    errors.push(
      notSupported(
        path,
        value,
        schema.enum.map((allowed) => (typeof allowed === 'string' ? allowed : JSON.stringify(allowed))),
      ),
    );
  }
  if (typeof value === 'string') checkText(value, schema, path, errors);
  else if (typeof value === 'number') checkNumber(value, schema, path, errors);
  else if (Array.isArray(value)) checkList(value, schema, path, errors);
  else if (isObject(value)) checkObject(value, schema, path, errors);
  checkCombinations(value, schema, path, errors);
}

function typeFault(value: unknown, schema: StructuralSchema): string | undefined {
  if (schema['x-kubernetes-int-or-string'] === true) {
    return typeof value === 'string' || Number.isInteger(value) ? undefined : 'integer,string';
  }
  const { type = '' } = schema;
  switch (type) {
    case 'object':
      return isObject(value) ? undefined : type;
    case 'array':
      return Array.isArray(value) ? undefined : type;
    case 'integer':
      return Number.isInteger(value) ? undefined : type;
    case 'number':
    case 'string':
    case 'boolean':
      return typeof value === type ? undefined : type;
    default:
      return undefined;
  }
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function checkText(value: string, schema: StructuralSchema, path: string, errors: FieldError[]): void {
  const { minLength, maxLength, pattern, format } = schema;
  // Code points, as the API counts them: a low surrogate belongs to the one before.
  const length = value.replaceAll(/[\uDC00-\uDFFF]/g, '').length;
  if (maxLength !== undefined && length > maxLength) errors.push(tooLong(path, maxLength));
  if (minLength !== undefined && length < minLength) {
    errors.push(invalidValue(path, value, `${body(path)} should be at least ${minLength} chars long`));
  }
  if (pattern !== undefined && !patternOf(pattern).test(value)) {
    errors.push(invalidValue(path, value, `${body(path)} should match '${pattern}'`));
  }
  if (format === 'date-time' && parseTime(value) === undefined) {
    errors.push(
      invalidValue(path, value, `${body(path)} must be of type date-time: ${JSON.stringify(value)}`),
    );
  }
}

/** Reads a pattern of a definition. Throws SyntaxError. */
export function patternOf(pattern: string): RegExp {
  try {
    return new RegExp(pattern, 'u');
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // Definitions escape more than they must, such as `\_`, which only the older mode takes.
    return new RegExp(pattern);
  }
}

function checkNumber(value: number, schema: StructuralSchema, path: string, errors: FieldError[]): void {
  const { minimum, maximum, multipleOf } = schema;
  const refuse = (why: string): void => {
    errors.push(invalidValue(path, value, `${body(path)} should be ${why}`));
  };
  if (maximum !== undefined) {
    if (schema.exclusiveMaximum === true && value >= maximum) refuse(`less than ${maximum}`);
    else if (value > maximum) refuse(`less than or equal to ${maximum}`);
  }
  if (minimum !== undefined) {
    if (schema.exclusiveMinimum === true && value <= minimum) refuse(`greater than ${minimum}`);
    else if (value < minimum) refuse(`greater than or equal to ${minimum}`);
  }
  if (multipleOf !== undefined && multipleOf > 0 && !Number.isInteger(value / multipleOf)) {
    refuse(`a multiple of ${multipleOf}`);
  }
}

function checkList(
  list: readonly unknown[],
  schema: StructuralSchema,
  path: string,
  errors: FieldError[],
): void {
  const { minItems, maxItems, items } = schema;
  if (maxItems !== undefined && list.length > maxItems) errors.push(tooMany(path, list.length, maxItems));
  if (minItems !== undefined && list.length < minItems) {
    errors.push(invalidValue(path, list.length, `${body(path)} should have at least ${minItems} items`));
  }
  if (items !== undefined) list.forEach((item, index) => check(item, items, `${path}[${index}]`, errors));
  const type = schema['x-kubernetes-list-type'];
  if (type !== 'set' && type !== 'map') return;
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const seen = new Set<string>();
  list.forEach((item, index) => {
    const identity: unknown =
      type === 'map' && isObject(item)
        ? Object.fromEntries(keys.map((key) => [key, getOwn(item, key)]))
        : item;
    const text = JSON.stringify(identity);
    if (seen.has(text)) errors.push(duplicateValue(`${path}[${index}]`, identity));
    seen.add(text);
  });
}

function checkObject(
  value: Readonly<Record<string, unknown>>,
  schema: StructuralSchema,
  path: string,
  errors: FieldError[],
): void {
  const below = (key: string): string => (path === '' ? key : `${path}.${key}`);
  const count = Object.keys(value).length;
  const { minProperties, maxProperties } = schema;
  if (maxProperties !== undefined && count > maxProperties) errors.push(tooMany(path, count, maxProperties));
  if (minProperties !== undefined && count < minProperties) {
    errors.push(invalidValue(path, count, `${body(path)} should have at least ${minProperties} properties`));
  }
  for (const name of schema.required ?? []) {
    if (getOwn(value, name) === undefined) errors.push(required(below(name)));
  }
  const values = valuesOf(schema);
  for (const [key, child] of Object.entries(value)) {
    if (path === '' && key === 'metadata') continue;
    const known = getOwn(schema.properties ?? {}, key) as StructuralSchema | undefined;
    if (known !== undefined) check(child, known, below(key), errors);
    else if (values !== undefined) check(child, values, below(key), errors);
  }
}

function checkCombinations(
  value: unknown,
  schema: StructuralSchema,
  path: string,
  errors: FieldError[],
): void {
  const fits = (part: StructuralSchema): boolean => validateValue(value, part, path).length === 0;
  const refuse = (why: string): void => {
    errors.push(invalidValue(path === '' ? '<nil>' : path, value, `${body(path)} ${why}`));
  };
  for (const part of schema.allOf ?? []) check(value, part, path, errors);
  if (schema.anyOf !== undefined && !schema.anyOf.some(fits)) {
    refuse('must validate at least one schema (anyOf)');
  }
  if (schema.oneOf !== undefined) {
    const found = schema.oneOf.filter(fits).length;
    if (found !== 1) {
      const how = found === 0 ? 'Found none valid' : `Found ${found} valid alternatives`;
      refuse(`must validate one and only one schema (oneOf). ${how}`);
    }
  }
  if (schema.not !== undefined && fits(schema.not)) refuse('must not validate the schema (not)');
}
