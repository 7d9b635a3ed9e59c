import { randomFillSync, randomUUID } from 'node:crypto';

/** Letters and digits of generated names: no vowels, so no words; nothing that reads like another. */
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const SUFFIX_LENGTH = 5;
const MAX_NAME = 63;

/** Appends five random characters of `bcdfghjklmnpqrstvwxz2456789` to `base`, cutting `base` at 58 characters. */
export function generateName(base: string): string {
  return base.slice(0, MAX_NAME - SUFFIX_LENGTH) + randomSuffix(SUFFIX_LENGTH);
}

/** Returns `length` random characters of the alphabet of generated names. */
export function randomSuffix(length: number): string {
  let suffix = '';
  while (suffix.length < length) {
    const byte = randomByte();
    // Bytes above the last whole multiple would make the first characters likelier.
    if (byte < FAIR) suffix += ALPHABET[byte % ALPHABET.length] ?? '';
  }
  return suffix;
}

/** Random bytes are asked for in stock: each question is a call into the system's generator. */
const stock = new Uint8Array(1024);
const FAIR = 256 - (256 % ALPHABET.length);
let used = stock.length;

function randomByte(): number {
  if (used === stock.length) {
    randomFillSync(stock);
    used = 0;
  }
  return stock[used++] ?? 0;
}

/** Returns a random version 4 UUID. */
export function newUid(): string {
  return randomUUID();
}
