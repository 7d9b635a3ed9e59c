import { createHash } from 'node:crypto';

/** Characters of generated names: no vowels and nothing that looks like another. */
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';

/**
 * Returns a short name for the content of a template, the same for the same content whatever its key order. It looks like
 * upstream's, which maps each decimal digit of 32 bits to a safe character; the bits differ, for upstream hashes the memory
 * layout of Go structs. Only its stability matters.
 *
 * @param collisions counts up when the name was taken by other content
 */
export function templateHash(template: unknown, collisions = 0): string {
  const digest = createHash('sha256').update(canonical(template)).update(String(collisions)).digest();
  return String(digest.readUInt32BE(0))
    .split('')
    .map((digit) => ALPHABET[digit.charCodeAt(0) % ALPHABET.length])
    .join('');
}

/** Prints JSON with sorted keys. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`);
  return `{${entries.join(',')}}`;
}
