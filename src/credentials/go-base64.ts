import { CredentialError } from './credential-error.ts';

/** Value of each base64 character; 255 for any other byte. */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const VALUES = Uint8Array.from({ length: 256 }, (_, byte) => {
  const value = ALPHABET.indexOf(String.fromCharCode(byte));
  return value < 0 ? 255 : value;
});

const PAD = '='.charCodeAt(0);

/**
 * Decodes standard base64 as Go's `encoding/base64` does: line ends anywhere are skipped, padding is required or refused,
 * stray low bits of the last character are ignored.
 *
 * @throws CredentialError `BAD_BASE64`, `illegal base64 data at input byte N`, N counted in UTF-8 bytes
 */
export function decodeGoBase64(text: string | Uint8Array, padding: 'padded' | 'unpadded' = 'padded'): Buffer {
  const input = typeof text === 'string' ? Buffer.from(text, 'utf8') : text;
  const output = Buffer.allocUnsafe(Math.ceil(input.length / 4) * 3);
  let written = 0;
  let at = 0;
  while (at < input.length) {
    let bits = 0;
    let count = 0;
    let ended = false;
    while (count < 4) {
      if (at === input.length) {
        if (count === 0) return output.subarray(0, written);
        if (count === 1 || padding === 'padded') throw corrupt(at - count);
        ended = true;
        break;
      }
      const byte = input[at] ?? 0;
      at++;
      const value = VALUES[byte] ?? 255;
      if (value !== 255) {
        bits = (bits << 6) | value;
        count++;
      } else if (!isLineEnd(byte)) {
        if (byte !== PAD || padding === 'unpadded' || count < 2) throw corrupt(at - 1);
        at = skipPadding(input, at, count);
        ended = true;
        break;
      }
    }
    bits <<= 6 * (4 - count);
    output[written++] = (bits >> 16) & 255;
    if (count > 2) output[written++] = (bits >> 8) & 255;
    if (count > 3) output[written++] = bits & 255;
    if (ended) break;
  }
  return output.subarray(0, written);
}

/** Checks what follows the first `=` and returns the end of the input; nothing but line ends may follow the padding. */
function skipPadding(input: Uint8Array, start: number, count: number): number {
  let at = start;
  if (count === 2) {
    at = skipLineEnds(input, at);
    if (at === input.length) throw corrupt(input.length);
    if (input[at] !== PAD) throw corrupt(at - 1);
    at++;
  }
  at = skipLineEnds(input, at);
  if (at < input.length) throw corrupt(at);
  return at;
}

function skipLineEnds(input: Uint8Array, start: number): number {
  let at = start;
  while (at < input.length && isLineEnd(input[at] ?? 0)) at++;
  return at;
}

function isLineEnd(byte: number): boolean {
  return byte === 10 || byte === 13;
}

function corrupt(offset: number): CredentialError {
  return new CredentialError('BAD_BASE64', `illegal base64 data at input byte ${offset}`);
}
