import { DurationError, parseGoDuration } from '../../base/go-duration.ts';
import { Duration, toCel } from '../cel/cel-values.ts';
import { getOwn, isObject, setOwn } from '../json/own-property.ts';
import { parseTime } from '../time.ts';
import { valuesOf, type StructuralSchema } from './structural-schema.ts';

/** Words that an expression cannot use as names, so that rules write them with two underlines on each side. */
const RESERVED: ReadonlySet<string> = new Set([
  'true',
  'false',
  'null',
  'in',
  'as',
  'break',
  'const',
  'continue',
  'else',
  'for',
  'function',
  'if',
  'import',
  'let',
  'loop',
  'package',
  'namespace',
  'return',
  'var',
  'void',
  'while',
]);

/** Returns the name under which a rule finds a property. */
export function ruleName(property: string): string {
  if (RESERVED.has(property)) return `__${property}__`;
  return property
    .replaceAll('__', '__underscores__')
    .replaceAll('.', '__dot__')
    .replaceAll('-', '__dash__')
    .replaceAll('/', '__slash__');
}

/** Turns a value into what rules see of it: as its schema types it, with the properties that the schema names. */
export function typedValue(value: unknown, schema: StructuralSchema, root = false): unknown {
  if (value === null || value === undefined) return null;
  if (schema['x-kubernetes-int-or-string'] === true) return toCel(value);
  if (typeof value === 'number') return schema.type === 'number' ? value : toCel(value);
  if (typeof value === 'string') return typedText(value, schema.format);
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined ? toCel(value) : value.map((item) => typedValue(item, items));
  }
  if (!isObject(value)) return value;
  const result = Object.create(null) as Record<string, unknown>;
  const values = valuesOf(schema);
  if (values !== undefined) {
    for (const [key, child] of Object.entries(value)) setOwn(result, key, typedValue(child, values));
    return result;
  }
  for (const [key, child] of Object.entries(value)) {
    if (child === undefined) continue;
    const known = getOwn(schema.properties ?? {}, key) as StructuralSchema | undefined;
    const isOwn = root || schema['x-kubernetes-embedded-resource'] === true;
    if (isOwn && key === 'metadata' && isObject(child)) {
      const { name, generateName } = child;
      setOwn(result, key, toCel({ name, generateName }));
    } else if (known !== undefined) setOwn(result, ruleName(key), typedValue(child, known));
    else if (isOwn && (key === 'apiVersion' || key === 'kind')) setOwn(result, key, child);
    else if (schema['x-kubernetes-preserve-unknown-fields'] === true) setOwn(result, key, toCel(child));
  }
  return result;
}

function typedText(text: string, format: string | undefined): unknown {
  switch (format) {
    case 'date-time': {
      const ms = parseTime(text);
      return ms === undefined ? text : new Date(ms);
    }
    case 'date':
      return Number.isNaN(Date.parse(text)) ? text : new Date(text);
    case 'duration':
      try {
        return Duration.fromMilliseconds(parseGoDuration(text));
      } catch (error) {
        if (!(error instanceof DurationError)) throw error;
        return text;
      }
    case 'byte':
      return Buffer.from(text, 'base64');
    case undefined:
    default:
      return text;
  }
}
