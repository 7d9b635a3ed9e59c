import { ProtobufError } from './protobuf-error.ts';

/** One field as it travels: its number and what follows. */
export type WireField =
  | { readonly number: number; readonly type: 'varint'; readonly value: bigint }
  | { readonly number: number; readonly type: 'bytes'; readonly value: Uint8Array }
  | { readonly number: number; readonly type: 'fixed'; readonly value: Uint8Array };

/**
 * Yields the fields of one message.
 *
 * @see Protocol Buffers, "Encoding"
 * @throws ProtobufError
 */
export function* readFields(bytes: Uint8Array): Generator<WireField> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw truncated();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new ProtobufError('MALFORMED', 'a number is longer than ten bytes');
  };
  const take = (length: number): Uint8Array => {
    if (length > bytes.length - at) throw truncated();
    const part = bytes.subarray(at, at + length);
    at += length;
    return part;
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = Number(tag >> 3n);
    if (number < 1 || number > 0x1fff_ffff) throw new ProtobufError('MALFORMED', `field number is ${number}`);
    switch (Number(tag & 7n)) {
      case 0:
        yield { number, type: 'varint', value: varint() };
        break;
      case 1:
        yield { number, type: 'fixed', value: take(8) };
        break;
      case 2: {
        const length = varint();
        if (length > BigInt(bytes.length)) throw truncated();
        yield { number, type: 'bytes', value: take(Number(length)) };
        break;
      }
      case 5:
        yield { number, type: 'fixed', value: take(4) };
        break;
      default:
        throw new ProtobufError('MALFORMED', `wire type is ${tag & 7n}`);
    }
  }
}

function truncated(): ProtobufError {
  return new ProtobufError('TRUNCATED', 'unexpected EOF');
}
