import { randomInt, randomUUID } from 'node:crypto';

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
  while (suffix.length < length) suffix += ALPHABET[randomInt(ALPHABET.length)];
  return suffix;
}

/** Returns a random version 4 UUID. */
export function newUid(): string {
  return randomUUID();
}
