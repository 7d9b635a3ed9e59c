import { CodedError } from './coded-error.ts';

/**
 * DER, the form of certificates and of requests for them (X.690): each value is a tag, a length and its content, and a
 * value that holds others holds them in its content.
 */
export interface DerValue {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag, length and content together: what is signed. */
  readonly whole: Uint8Array;
}

/** Bytes that are no DER, in the words of Go's `encoding/asn1`. */
export class DerError extends CodedError<'TRUNCATED' | 'TRAILING' | 'MISMATCH'> {}

export const DER_INTEGER = 0x02;
export const DER_BIT_STRING = 0x03;
export const DER_OCTET_STRING = 0x04;
export const DER_OID = 0x06;
export const DER_SEQUENCE = 0x30;

/** Longest length that is read: certificates are far smaller. */
const LENGTH_BYTES = 4;

/** Reads the only value in `bytes`. */
export function readDer(bytes: Uint8Array, tag?: number): DerValue {
  const [value, ...others] = readAll(bytes);
  if (value === undefined) throw new DerError('TRUNCATED', 'asn1: syntax error: sequence truncated');
  if (others.length > 0) throw new DerError('TRAILING', 'asn1: syntax error: trailing data');
  if (tag !== undefined) expectTag(value, tag);
  return value;
}

/** Reads the values that another one holds. */
export function derItems(value: DerValue | undefined): DerValue[] {
  if (value === undefined) throw new DerError('TRUNCATED', 'asn1: syntax error: sequence truncated');
  return readAll(value.content);
}

/** Returns a value if it is of this kind. */
export function expectTag(value: DerValue | undefined, tag: number): DerValue {
  if (value === undefined) throw new DerError('TRUNCATED', 'asn1: syntax error: sequence truncated');
  if (value.tag !== tag) throw new DerError('MISMATCH', "asn1: structure error: tags don't match");
  return value;
}

/** Returns the bytes of a bit string that has whole bytes. */
export function bitsOf(value: DerValue | undefined): Uint8Array {
  return expectTag(value, DER_BIT_STRING).content.subarray(1);
}

/** Prints an object identifier: `2.5.4.3`. */
export function oidOf(value: DerValue | undefined): string {
  const { content } = expectTag(value, DER_OID);
  const numbers: number[] = [];
  let number = 0;
  for (const byte of content) {
    number = number * 128 + (byte & 0x7f);
    if ((byte & 0x80) !== 0) continue;
    numbers.push(number);
    number = 0;
  }
  const [first = 0, ...rest] = numbers;
  const root = Math.min(2, Math.floor(first / 40));
  return [root, first - root * 40, ...rest].join('.');
}

/** Makes a value of its parts. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = Buffer.concat(parts);
  const length = content.length;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const bytes = Buffer.alloc(LENGTH_BYTES);
  bytes.writeUInt32BE(length);
  const short = bytes.subarray(bytes.findIndex((byte) => byte !== 0));
  return Buffer.concat([Buffer.from([tag, 0x80 + short.length]), short, content]);
}

/** Makes an object identifier of its printed form. */
export function derOid(text: string): Uint8Array {
  const [root = 0, second = 0, ...rest] = text.split('.').map(Number);
  return der(DER_OID, Buffer.from([root * 40 + second, ...rest].flatMap(base128)));
}

function base128(number: number): number[] {
  const bytes = [number % 128];
  for (let left = Math.floor(number / 128); left > 0; left = Math.floor(left / 128)) {
    bytes.unshift((left % 128) + 128);
  }
  return bytes;
}

function readAll(bytes: Uint8Array): DerValue[] {
  const values: DerValue[] = [];
  let rest = bytes;
  while (rest.length > 0) {
    const { start, end } = boundsOf(rest);
    values.push({
      tag: rest[0] ?? 0,
      content: rest.subarray(start, end),
      whole: rest.subarray(0, end),
    });
    rest = rest.subarray(end);
  }
  return values;
}

function boundsOf(bytes: Uint8Array): { start: number; end: number } {
  const truncated = new DerError('TRUNCATED', 'asn1: syntax error: data truncated');
  const first = bytes[1];
  if (first === undefined) throw truncated;
  let start = 2;
  let length = first;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > LENGTH_BYTES) throw truncated;
    length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + (bytes[start++] ?? 0);
  }
  if (start + length > bytes.length) throw truncated;
  return { start, end: start + length };
}
