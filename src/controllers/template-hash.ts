import { createHash } from 'node:crypto';

/** Characters of generated names: no vowels and nothing that looks like another. */
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';

/**
 * Returns a short name for the content of a template, the same for the same content whatever its key order.
 * Ours differs from upstream's, which hashes the memory layout of Go structs; only its stability matters.
 *
 * @param collisions counts up when the name was taken by other content
 */
export function templateHash(template: unknown, collisions = 0): string {
  const digest = createHash('sha256').update(canonical(template)).update(String(collisions)).digest();
  let value = digest.readBigUInt64BE(0);
  let text = '';
  while (text.length < 10) {
    text += ALPHABET[Number(value % BigInt(ALPHABET.length))];
    value /= BigInt(ALPHABET.length);
  }
  return text;
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
