import { CodedError } from '../../base/coded-error.ts';

/** Text that is not standard base64, worded as Go's decoder words it: `illegal base64 data at input byte 8`. */
export class Base64Error extends CodedError<'BAD_BASE64'> {}

/** Returns the canonical form of base64 text: line breaks are skipped, everything else must be exact. Throws `Base64Error`. */
export function canonicalBase64(text: string): string {
  const at = findBase64Fault(text);
  if (at !== undefined) throw new Base64Error('BAD_BASE64', `illegal base64 data at input byte ${at}`);
  return Buffer.from(text, 'base64').toString('base64');
}

/**
 * Returns the offset that Go's decoder names for faulty text, `undefined` for good text: that of a foreign byte,
 * or of the last group of four when that group is incomplete.
 */
function findBase64Fault(text: string): number | undefined {
  const bytes = Buffer.from(text);
  const isBreak = (at: number): boolean => bytes[at] === 0x0a || bytes[at] === 0x0d;
  let inGroup = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    if (isBreak(at)) continue;
    const byte = bytes[at] ?? 0;
    if (isAlphabet(byte)) {
      inGroup = (inGroup + 1) % 4;
      continue;
    }
    if (byte !== 0x3d || inGroup < 2) return at;
    let next = at + 1;
    if (inGroup === 2) {
      while (isBreak(next)) next += 1;
      if (next === bytes.length) return bytes.length;
      if (bytes[next] !== 0x3d) return next - 1;
      next += 1;
    }
    while (isBreak(next)) next += 1;
    return next < bytes.length ? next : undefined;
  }
  return inGroup === 0 ? undefined : bytes.length - inGroup;
}

function isAlphabet(byte: number): boolean {
  return (
    (byte >= 0x41 && byte <= 0x5a) ||
    (byte >= 0x61 && byte <= 0x7a) ||
    (byte >= 0x30 && byte <= 0x39) ||
    byte === 0x2b ||
    byte === 0x2f
  );
}
