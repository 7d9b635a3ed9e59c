import { findStruct, type FieldSchema, type Scalar, type TypeSchema } from '../../kube/schema/schema.ts';
import { formatMicroTime, formatTime } from '../../kube/time.ts';
import { FIELD_NUMBERS } from './field-numbers.ts';
import { POLICY_FIELD_NUMBERS } from './policy-field-numbers.ts';
import { ProtobufError } from './protobuf-error.ts';
import { readFields, type WireField } from './wire-reader.ts';

/** No object of the API nests deeper; a body that does is an attack on the stack. */
const MAX_DEPTH = 64;

interface Numbered {
  readonly fields: Map<number, FieldSchema>;
  /** Fields that hold a struct whose own fields JSON shows in this one. */
  readonly inline: Map<number, Numbered>;
}

const known = new Map<string, Numbered>();
let table: ReadonlyMap<string, string> | undefined;

type Value = Record<string, unknown>;

/** Tells whether messages of a struct can be read: without numbers every field would be lost in silence. */
export function canDecode(name: string): boolean {
  return lines().has(name);
}

/**
 * Decodes a message into the JSON value of a struct. Fields that are not known are skipped, as protobuf has it.
 *
 * @param name full name such as `core.v1.Pod`
 * @throws ProtobufError
 */
export function decodeStruct(name: string, bytes: Uint8Array, depth = 0): Value {
  const value: Value = {};
  fill(value, numbersOf(name), bytes, depth);
  return value;
}

function fill(value: Value, numbers: Numbered, bytes: Uint8Array, depth: number): void {
  if (depth > MAX_DEPTH) throw new ProtobufError('TOO_DEEP', `the object is nested deeper than ${MAX_DEPTH}`);
  for (const wire of readFields(bytes)) {
    const inline = numbers.inline.get(wire.number);
    if (inline !== undefined) {
      if (wire.type === 'bytes') fill(value, inline, wire.value, depth + 1);
      continue;
    }
    const field = numbers.fields.get(wire.number);
    if (field !== undefined) put(value, field, wire, depth);
  }
}

function put(value: Value, field: FieldSchema, wire: WireField, depth: number): void {
  const { name, type } = field;
  switch (type.is) {
    case 'list': {
      const list = (value[name] ??= []) as unknown[];
      list.push(decodeValue(type.items, wire, depth + 1));
      return;
    }
    case 'map': {
      const [key, item] = mapEntry(type.values, wire, depth);
      // A map of the API is data: `__proto__` is a key like any other and must not become a prototype.
      const map = (value[name] ??= {}) as Value;
      Object.defineProperty(map, key, { value: item, writable: true, enumerable: true, configurable: true });
      return;
    }
    case 'struct':
      value[name] = decodeValue(type, wire, depth + 1);
      return;
    case 'scalar': {
      const scalar = decodeScalar(type.scalar, wire);
      // Go writes zero values of fields that cannot be absent; in JSON they are left out.
      const isZero = scalar === '' || scalar === 0 || scalar === false || scalar === null;
      if (!isZero || type.nullable || field.zeroDefault) value[name] = scalar;
      return;
    }
    default:
      return type satisfies never;
  }
}

function mapEntry(values: TypeSchema, wire: WireField, depth: number): [string, unknown] {
  let key = '';
  let item: unknown = values.is === 'scalar' ? decodeScalar(values.scalar, EMPTY) : {};
  for (const part of readFields(bytesOf(wire))) {
    if (part.number === 1) key = text(bytesOf(part));
    if (part.number === 2) item = decodeValue(values, part, depth + 1);
  }
  return [key, item];
}

const EMPTY: WireField = { number: 2, type: 'bytes', value: new Uint8Array() };

function decodeValue(type: TypeSchema, wire: WireField, depth: number): unknown {
  switch (type.is) {
    case 'scalar':
      return decodeScalar(type.scalar, wire);
    case 'struct':
      return decodeStruct(type.name, bytesOf(wire), depth);
    case 'list': {
      // A list inside a map travels in a struct of its own: `extra` of reviews.
      const items: unknown[] = [];
      for (const part of readFields(bytesOf(wire))) items.push(decodeValue(type.items, part, depth + 1));
      return items;
    }
    case 'map':
      throw new ProtobufError('MALFORMED', 'a map cannot be an item');
    default:
      return type satisfies never;
  }
}

function decodeScalar(scalar: Scalar, wire: WireField): unknown {
  switch (scalar) {
    case 's':
      return text(bytesOf(wire));
    case 'b':
      return varintOf(wire) !== 0n;
    case 'i32':
    case 'i64':
      return Number(BigInt.asIntN(64, varintOf(wire)));
    case 'f64':
      if (wire.type !== 'fixed' || wire.value.length !== 8) throw mistyped(wire);
      return new DataView(wire.value.buffer, wire.value.byteOffset, 8).getFloat64(0, true);
    case 'bytes':
      return Buffer.from(bytesOf(wire)).toString('base64');
    case 'time':
      return time(bytesOf(wire), formatTime);
    case 'microtime':
      return time(bytesOf(wire), formatMicroTime);
    case 'quantity':
      return firstText(bytesOf(wire));
    case 'intstr':
      return intOrString(bytesOf(wire));
    case 'raw':
    case 'fields':
      return JSON.parse(firstText(bytesOf(wire)) || 'null') as unknown;
    default:
      return scalar satisfies never;
  }
}

/** Go sends the zero time as an empty message; JSON has null for it. */
function time(bytes: Uint8Array, format: (ms: number) => string): string | null {
  let seconds: bigint | undefined;
  let nanos = 0;
  for (const field of readFields(bytes)) {
    if (field.number === 1) seconds = BigInt.asIntN(64, varintOf(field));
    if (field.number === 2) nanos = Number(BigInt.asIntN(32, varintOf(field)));
  }
  return seconds === undefined ? null : format(Number(seconds) * 1000 + nanos / 1e6);
}

function intOrString(bytes: Uint8Array): number | string {
  let kind = 0n;
  let number = 0;
  let string = '';
  for (const field of readFields(bytes)) {
    if (field.number === 1) kind = varintOf(field);
    if (field.number === 2) number = Number(BigInt.asIntN(32, varintOf(field)));
    if (field.number === 3) string = text(bytesOf(field));
  }
  return kind === 1n ? string : number;
}

function firstText(bytes: Uint8Array): string {
  let found = '';
  for (const field of readFields(bytes)) if (field.number === 1) found = text(bytesOf(field));
  return found;
}

function numbersOf(name: string): Numbered {
  const found = known.get(name);
  if (found !== undefined) return found;
  const numbered: Numbered = { fields: new Map(), inline: new Map() };
  const struct = findStruct(name);
  for (const pair of (lines().get(name) ?? '').split(' ')) {
    const [field = '', path = ''] = pair.split(':');
    const schema = struct?.fields.get(field);
    if (schema === undefined) continue;
    const steps = path.split('.').map(Number);
    const last = steps.pop() ?? 0;
    let target = numbered;
    for (const step of steps) {
      let inner = target.inline.get(step);
      if (inner === undefined) target.inline.set(step, (inner = { fields: new Map(), inline: new Map() }));
      target = inner;
    }
    target.fields.set(last, schema);
  }
  known.set(name, numbered);
  return numbered;
}

function lines(): ReadonlyMap<string, string> {
  table ??= new Map(
    `${FIELD_NUMBERS.trim()}\n${POLICY_FIELD_NUMBERS.trim()}`.split('\n').map((line) => {
      const space = line.indexOf(' ');
      return [line.slice(0, space), line.slice(space + 1)];
    }),
  );
  return table;
}

function bytesOf(wire: WireField): Uint8Array {
  if (wire.type !== 'bytes') throw mistyped(wire);
  return wire.value;
}

function varintOf(wire: WireField): bigint {
  if (wire.type !== 'varint') throw mistyped(wire);
  return wire.value;
}

function mistyped(wire: WireField): ProtobufError {
  return new ProtobufError('MALFORMED', `field ${wire.number} has wire type ${wire.type}`);
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}
