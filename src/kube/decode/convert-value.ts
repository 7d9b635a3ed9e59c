import { canonicalQuantity } from '../quantity.ts';
import { getOwn, isObject, setOwn } from '../json/own-property.ts';
import { formatPath } from '../json/parse-json.ts';
import {
  structIn,
  type FieldSchema,
  type Scalar,
  type StructSchema,
  type TypeSchema,
} from '../schema/schema.ts';
import { formatMicroTime, formatTime, parseTime } from '../time.ts';
import { timeFault } from './_go-time.ts';
import { goType, jsonKind, restoreText } from './_go-types.ts';
import { canonicalBase64 } from './base64.ts';
import { ConvertError } from './convert-error.ts';

/** What conversion found besides the value. */
export interface ConvertFindings {
  /** Paths of fields that the kind does not have, in document order. */
  readonly unknown: string[];
}

/**
 * Turns a JSON value into the struct's own form, as a typed decoder and encoder would: unknown fields dropped,
 * types checked, zero values left out or filled in as each field prints them, quantities, times and base64 canonical.
 * `wording` chooses the texts of a body's decoder, or of the converter that a strategic patch's outcome goes through.
 *
 * @throws ConvertError with the text of Go's decoder
 */
export function convertStruct(
  value: unknown,
  struct: StructSchema,
  findings: ConvertFindings,
  wording: 'unmarshal' | 'restore' = 'unmarshal',
): Record<string, unknown> {
  return new Converter(findings, wording).root(value, struct);
}

class Converter {
  readonly #findings: ConvertFindings;
  readonly #path: (string | number)[] = [];
  readonly #fieldNames: string[] = [];

  readonly #wording: 'unmarshal' | 'restore';

  constructor(findings: ConvertFindings, wording: 'unmarshal' | 'restore') {
    this.#findings = findings;
    this.#wording = wording;
  }

  root(value: unknown, struct: StructSchema): Record<string, unknown> {
    if (!isObject(value)) {
      throw new ConvertError(
        'WRONG_TYPE',
        `json: cannot unmarshal ${jsonKind(value)} into Go value of type ${struct.goType}`,
      );
    }
    return this.#struct(value, struct);
  }

  #struct(value: Readonly<Record<string, unknown>>, struct: StructSchema): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    for (const key of Object.keys(value)) {
      const field = struct.fields.get(key);
      this.#path.push(key);
      if (field === undefined) this.#findings.unknown.push(formatPath(this.#path));
      else {
        this.#fieldNames.push(key);
        const converted = this.#field(getOwn(value, key), field, struct);
        if (converted !== undefined) result[key] = converted;
        this.#fieldNames.pop();
      }
      this.#path.pop();
    }
    fillZeros(result, struct);
    return result;
  }

  #field(value: unknown, field: FieldSchema, struct: StructSchema): unknown {
    const { type } = field;
    if (value === null) return undefined;
    const converted = this.#value(value, type, field, struct);
    if (field.zeroDefault) return converted;
    if (type.is === 'scalar' && !type.nullable && isZero(converted, type.scalar)) return undefined;
    if (type.is === 'list' && !field.required && (converted as unknown[]).length === 0) return undefined;
    if (type.is === 'map' && !field.required && Object.keys(converted as object).length === 0)
      return undefined;
    return converted;
  }

  #value(value: unknown, type: TypeSchema, field: FieldSchema, struct: StructSchema): unknown {
    switch (type.is) {
      case 'struct':
        if (!isObject(value)) throw this.#mismatch(value, type, field, struct);
        return this.#struct(value, structIn(type));
      case 'list':
        if (!Array.isArray(value)) throw this.#mismatch(value, type, field, struct);
        return value.map((item, index) => {
          this.#path.push(index);
          const converted = this.#item(item, type.items, field, struct);
          this.#path.pop();
          return converted;
        });
      case 'map':
        return this.#map(value, type, field, struct);
      case 'scalar':
        return this.#scalar(value, type.scalar, field, struct);
    }
  }

  #map(
    value: unknown,
    type: Extract<TypeSchema, { is: 'map' }>,
    field: FieldSchema,
    struct: StructSchema,
  ): Record<string, unknown> {
    if (!isObject(value)) throw this.#mismatch(value, type, field, struct);
    const result: Record<string, unknown> = {};
    for (const [key, entry] of Object.entries(value)) {
      this.#path.push(key);
      setOwn(result, key, this.#item(entry, type.values, field, struct));
      this.#path.pop();
    }
    return result;
  }

  /** Items and values have no way to be absent: null is their zero value. */
  #item(value: unknown, type: TypeSchema, field: FieldSchema, struct: StructSchema): unknown {
    if (value !== null) return this.#value(value, type, field, struct);
    if (type.is === 'scalar') return zeroOf(type.scalar);
    return type.is === 'list' ? [] : type.is === 'map' ? {} : this.#struct({}, structIn(type));
  }

  #scalar(value: unknown, scalar: Scalar, field: FieldSchema, struct: StructSchema): unknown {
    switch (scalar) {
      case 's':
        if (typeof value !== 'string') break;
        return value;
      case 'b':
        if (typeof value !== 'boolean') break;
        return value;
      case 'i32':
      case 'i64':
        if (typeof value !== 'number') break;
        if (!fitsInteger(value, scalar)) break;
        return value;
      case 'f64':
        if (typeof value !== 'number') break;
        return value;
      case 'bytes':
        if (typeof value !== 'string') break;
        return canonicalBase64(value);
      case 'time':
      case 'microtime':
        return convertTime(value, scalar);
      case 'quantity':
        if (typeof value !== 'string' && typeof value !== 'number') {
          return canonicalQuantity(JSON.stringify(value));
        }
        return canonicalQuantity(value);
      case 'intstr':
        if (typeof value === 'string') return value;
        if (typeof value === 'number' && fitsInteger(value, 'i32')) return value;
        throw new ConvertError(
          'WRONG_TYPE',
          `json: cannot unmarshal ${jsonKind(value, 'i32')} into Go value of type int32`,
        );
      case 'raw':
      case 'fields':
        if (!isObject(value)) break;
        return value;
    }
    throw this.#mismatch(value, { is: 'scalar', scalar, nullable: false }, field, struct);
  }

  #mismatch(value: unknown, type: TypeSchema, field: FieldSchema, struct: StructSchema): ConvertError {
    if (this.#wording === 'restore')
      return new ConvertError('WRONG_TYPE', restoreText(value, type, field, struct));
    const place = `${struct.goName}.${this.#fieldNames.join('.')}`;
    const kind = jsonKind(value, type.is === 'scalar' ? type.scalar : undefined);
    return new ConvertError(
      'WRONG_TYPE',
      `json: cannot unmarshal ${kind} into Go struct field ${place} of type ${goType(type, field, struct)}`,
    );
  }
}

function fillZeros(result: Record<string, unknown>, struct: StructSchema): void {
  for (const field of struct.fields.values()) {
    if (!field.zeroDefault || Object.hasOwn(result, field.name)) continue;
    if (field.type.is === 'struct') {
      const inner: Record<string, unknown> = {};
      fillZeros(inner, structIn(field.type));
      result[field.name] = inner;
    } else if (field.type.is === 'scalar') result[field.name] = zeroOf(field.type.scalar);
  }
}

function zeroOf(scalar: Scalar): unknown {
  switch (scalar) {
    case 'b':
      return false;
    case 'i32':
    case 'i64':
    case 'f64':
    case 'intstr':
      return 0;
    case 'time':
    case 'microtime':
      return null;
    case 'quantity':
      return '0';
    case 'raw':
    case 'fields':
      return {};
    case 's':
    case 'bytes':
      return '';
  }
}

function isZero(value: unknown, scalar: Scalar): boolean {
  return scalar !== 'intstr' && scalar !== 'quantity' && value === zeroOf(scalar);
}

function fitsInteger(value: number, scalar: 'i32' | 'i64'): boolean {
  if (!Number.isInteger(value)) return false;
  return scalar === 'i64' ? Math.abs(value) < 2 ** 63 : value >= -(2 ** 31) && value < 2 ** 31;
}

function convertTime(value: unknown, scalar: 'time' | 'microtime'): string | null {
  if (typeof value !== 'string') {
    throw new ConvertError(
      'WRONG_TYPE',
      `json: cannot unmarshal ${jsonKind(value)} into Go value of type string`,
    );
  }
  const fault = timeFault(value, scalar === 'microtime');
  const ms = fault === undefined ? parseTime(value) : undefined;
  if (ms === undefined)
    throw new ConvertError('WRONG_TYPE', fault ?? `parsing time ${JSON.stringify(value)}`);
  return scalar === 'time' ? formatTime(ms) : formatMicroTime(ms);
}
