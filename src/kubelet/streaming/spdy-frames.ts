/*
 * Frames of SPDY 3.1, as far as the streams of `kubectl exec`, `attach` and `port-forward` need them.
 *
 *   control: 1 | version (15 bits) | type (16) | flags (8) | length (24) | payload
 *   data:    0 | stream (31 bits)              | flags (8) | length (24) | payload
 *
 * @see SPDY Protocol Draft 3.1, section 2.2
 */

export const FRAME = {
  SYN_STREAM: 1,
  SYN_REPLY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  HEADERS: 8,
  WINDOW_UPDATE: 9,
} as const;

export const FLAG_FIN = 1;

/** Bytes in front of every payload. */
export const HEAD_BYTES = 8;

const VERSION = 3;
const STREAM_MASK = 0x7fff_ffff;

export type Frame =
  | { readonly kind: 'data'; readonly stream: number; readonly fin: boolean; readonly payload: Buffer }
  | { readonly kind: 'control'; readonly type: number; readonly flags: number; readonly payload: Buffer };

/** Reads the number of payload bytes from a frame's first bytes. */
export function payloadLength(head: Buffer): number {
  return head.readUIntBE(5, 3);
}

/** Reads a whole frame; `undefined` when it is of another version of the protocol. */
export function parseFrame(bytes: Buffer): Frame | undefined {
  const first = bytes.readUInt32BE(0);
  const flags = bytes.readUInt8(4);
  const payload = bytes.subarray(HEAD_BYTES);
  if (first >>> 31 === 0) return { kind: 'data', stream: first, fin: (flags & FLAG_FIN) !== 0, payload };
  if (((first >>> 16) & 0x7fff) !== VERSION) return undefined;
  return { kind: 'control', type: first & 0xffff, flags, payload };
}

/** Reads the number of a stream at the beginning of a payload. */
export function streamOf(payload: Buffer): number {
  return payload.length < 4 ? 0 : payload.readUInt32BE(0) & STREAM_MASK;
}

export function dataFrame(stream: number, payload: Buffer, fin: boolean): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(stream & STREAM_MASK, 0);
  head.writeUInt8(fin ? FLAG_FIN : 0, 4);
  head.writeUIntBE(payload.length, 5, 3);
  return Buffer.concat([head, payload]);
}

export function controlFrame(type: number, flags: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt16BE(0x8000 | VERSION, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt8(flags, 4);
  head.writeUIntBE(payload.length, 5, 3);
  return Buffer.concat([head, payload]);
}

/** Writes numbers of four bytes each. */
export function words(...values: number[]): Buffer {
  const buffer = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) buffer.writeUInt32BE(value >>> 0, 4 * index);
  return buffer;
}
