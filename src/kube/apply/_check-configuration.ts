import { goQuote } from '../../base/go-quote.ts';
import { isObject } from '../json/own-property.ts';
import {
  structIn,
  type FieldSchema,
  type Scalar,
  type StructSchema,
  type TypeSchema,
} from '../schema/schema.ts';
import { goPrint } from '../patch/_go-print.ts';
import { ApplyError } from './apply-error.ts';
import { formatFieldPath, type Path } from './field-set.ts';
import { itemElements, shapeOfField } from './_shape.ts';

/** Lists what in a configuration does not fit the kind's schema: `.bogus: field not declared in schema`. */
export function checkConfiguration(value: unknown, struct: StructSchema): string[] {
  const faults: string[] = [];
  checkStruct(value, struct, [], faults);
  return faults;
}

function checkStruct(value: unknown, struct: StructSchema, path: Path, faults: string[]): void {
  if (value === null) return;
  if (!isObject(value)) {
    faults.push(`${formatFieldPath(path)}: expected map, got &{${goPrint(value)}}`);
    return;
  }
  for (const [key, child] of Object.entries(value)) {
    const at = [...path, `f:${key}`];
    const field = struct.fields.get(key);
    if (field === undefined) {
      if (struct.rest === undefined) faults.push(`${formatFieldPath(at)}: field not declared in schema`);
    } else if (child !== null) checkField(child, field, at, faults);
  }
}

function checkField(value: unknown, field: FieldSchema, path: Path, faults: string[]): void {
  const { type } = field;
  if (type.is !== 'list') {
    checkType(value, type, path, faults);
    return;
  }
  if (!Array.isArray(value)) {
    faults.push(`${formatFieldPath(path)}: expected list, got &{${goPrint(value)}}`);
    return;
  }
  const shape = shapeOfField(field);
  let elements: readonly string[] = value.map((_item, index) => `i:${index}`);
  if (shape.is === 'keyed' || shape.is === 'set') {
    try {
      elements = itemElements(value, shape);
    } catch (error) {
      if (!(error instanceof ApplyError)) throw error;
      faults.push(`${formatFieldPath(path)}: element 0: ${error.message}`);
      return;
    }
    const seen = new Set<string>();
    for (const element of elements) {
      if (seen.has(element)) {
        faults.push(`${formatFieldPath(path)}: duplicate entries for key ${formatFieldPath([element])}`);
        return;
      }
      seen.add(element);
    }
  }
  value.forEach((item, index) => {
    const element = elements[index] ?? '';
    // Positions print as numbers.
    const at = element.startsWith('i:') ? [...path, `k:{"":${index}}`] : [...path, element];
    checkType(item, type.items, at, faults);
  });
}

function checkType(value: unknown, type: TypeSchema, path: Path, faults: string[]): void {
  switch (type.is) {
    case 'struct':
      checkStruct(value, structIn(type), path, faults);
      return;
    case 'map':
      if (!isObject(value)) faults.push(`${formatFieldPath(path)}: expected map, got &{${goPrint(value)}}`);
      else {
        for (const [key, child] of Object.entries(value)) {
          if (child !== null) checkType(child, type.values, [...path, `f:${key}`], faults);
        }
      }
      return;
    case 'list':
      if (!Array.isArray(value))
        faults.push(`${formatFieldPath(path)}: expected list, got &{${goPrint(value)}}`);
      return;
    case 'scalar': {
      const expected = expectation(value, type.scalar);
      if (expected !== undefined) {
        faults.push(
          `${formatFieldPath(path)}: expected ${expected}, got &value.valueUnstructured{Value:${printGo(value)}}`,
        );
      }
    }
  }
}

/** Returns what a scalar should have been; `undefined` when it fits. Quantities and the like take any scalar. */
function expectation(value: unknown, scalar: Scalar): string | undefined {
  switch (scalar) {
    case 's':
    case 'bytes':
      return typeof value === 'string' ? undefined : 'string';
    case 'b':
      return typeof value === 'boolean' ? undefined : 'boolean';
    case 'i32':
    case 'i64':
    case 'f64':
      return typeof value === 'number' ? undefined : 'numeric (int or float)';
    case 'time':
    case 'microtime':
    case 'quantity':
    case 'intstr':
    case 'raw':
    case 'fields':
      return undefined;
  }
}

function printGo(value: unknown): string {
  return typeof value === 'string' ? goQuote(value) : goPrint(value);
}
