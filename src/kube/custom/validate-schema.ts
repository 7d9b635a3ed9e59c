import { forbiddenField, invalidValue, notSupported, required, type FieldError } from '../field-error.ts';
import { isObject } from '../json/own-property.ts';
import { validateSchemaRules } from './validate-rules.ts';
import { patternOf } from './validate-value.ts';

const TYPES = ['array', 'boolean', 'integer', 'number', 'object', 'string'];
/** Deeper schemas are refused: each level costs stack in everything that walks them. */
const MAX_DEPTH = 100;

/** Checks that a schema is structural: every field has a type, and says either fields or values, not both. */
export function validateSchema(schema: Readonly<Record<string, unknown>>, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (schema['type'] !== 'object') {
    errors.push(
      typeof schema['type'] === 'string' && schema['type'] !== ''
        ? invalidValue(`${path}.type`, schema['type'], 'must be object at the root')
        : required(`${path}.type`, 'must not be empty at the root'),
    );
  }
  checkSchema(schema, { path, where: 'at the root', depth: 0, correlatable: true }, errors);
  return errors;
}

/** Where a schema stands. */
interface Place {
  readonly path: string;
  /** For the text of a missing type. */
  readonly where: string;
  readonly depth: number;
  /** Whether a value here can be told apart from its neighbours, so that its earlier state is known. */
  readonly correlatable: boolean;
}

function checkSchema(schema: Readonly<Record<string, unknown>>, place: Place, errors: FieldError[]): void {
  const { path, where, depth, correlatable } = place;
  if (depth > MAX_DEPTH) {
    errors.push(forbiddenField(path, `schemas may not be deeper than ${MAX_DEPTH} levels`));
    return;
  }
  const { type, properties, additionalProperties, items, pattern } = schema;
  const isFree =
    schema['x-kubernetes-int-or-string'] === true || schema['x-kubernetes-preserve-unknown-fields'] === true;
  if (depth > 0 && (type === undefined || type === '') && !isFree) {
    errors.push(required(`${path}.type`, `must not be empty ${where}`));
  } else if (type !== undefined && type !== '' && !TYPES.includes(type as string)) {
    errors.push(notSupported(`${path}.type`, type, TYPES));
  }
  if (schema['$ref'] !== undefined) errors.push(forbiddenField(`${path}.$ref`, '$ref is not supported'));
  if (schema['uniqueItems'] === true) {
    errors.push(
      forbiddenField(
        `${path}.uniqueItems`,
        'uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
      ),
    );
  }
  if (isObject(properties) && additionalProperties !== undefined) {
    errors.push(
      forbiddenField(
        `${path}.additionalProperties`,
        'additionalProperties and properties are mutual exclusive',
      ),
    );
  }
  if (additionalProperties === false) {
    errors.push(
      forbiddenField(`${path}.additionalProperties`, 'additionalProperties cannot be set to false'),
    );
  }
  if (typeof pattern === 'string') {
    try {
      patternOf(pattern);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      errors.push(
        invalidValue(
          `${path}.pattern`,
          pattern,
          `must be a valid regular expression, but isn't: ${error.message}`,
        ),
      );
    }
  }
  const rules = schema['x-kubernetes-validations'];
  if (Array.isArray(rules)) errors.push(...validateSchemaRules(rules, path, correlatable));
  for (const [key, child] of Object.entries(isObject(properties) ? properties : {})) {
    // Metadata has the API's own schema.
    if (depth === 0 && key === 'metadata') continue;
    descend(
      child,
      { ...place, path: `${path}.properties[${key}]`, where: 'for specified object fields' },
      errors,
    );
  }
  if (isObject(additionalProperties)) {
    descend(
      additionalProperties,
      { ...place, path: `${path}.additionalProperties`, where: 'for specified object fields' },
      errors,
    );
  }
  if (type === 'array' && items === undefined) {
    errors.push(required(`${path}.items`, 'must be specified'));
  } else if (Array.isArray(items)) {
    errors.push(forbiddenField(`${path}.items`, 'items must be a schema object and not an array'));
  } else if (items !== undefined) {
    const isMap = schema['x-kubernetes-list-type'] === 'map';
    descend(
      items,
      {
        ...place,
        path: `${path}.items`,
        where: 'for specified array items',
        correlatable: correlatable && isMap,
      },
      errors,
    );
  }
}

function descend(schema: unknown, place: Place, errors: FieldError[]): void {
  if (isObject(schema)) checkSchema(schema, { ...place, depth: place.depth + 1 }, errors);
  else errors.push(invalidValue(place.path, schema, 'must be a schema'));
}
