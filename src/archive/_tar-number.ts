/**
 * Reads a number of a header: octal digits among spaces and NULs, or base 256 when the first bit is set (GNU, star).
 * Returns undefined for anything else and for numbers that are not exact in a double.
 */
export function readNumber(block: Buffer, offset: number, length: number): number | undefined {
  const first = block[offset] ?? 0;
  if ((first & 0x80) !== 0) return readBase256(block, offset, length);
  let at = offset;
  const end = offset + length;
  while (at < end && (block[at] === 0x20 || block[at] === 0)) at++;
  let value = 0;
  for (; at < end; at++) {
    const byte = block[at] ?? 0;
    if (byte === 0 || byte === 0x20) break;
    if (byte < 0x30 || byte > 0x37) return undefined;
    value = value * 8 + (byte - 0x30);
  }
  // Only padding may follow the digits.
  for (; at < end; at++) if (block[at] !== 0 && block[at] !== 0x20) return undefined;
  return value;
}

function readBase256(block: Buffer, offset: number, length: number): number | undefined {
  const first = block[offset] ?? 0;
  const negative = (first & 0x40) !== 0;
  let value = negative ? first - 0x100 : first & 0x7f;
  for (let at = offset + 1; at < offset + length; at++) {
    value = value * 256 + (block[at] ?? 0);
    if (!Number.isSafeInteger(value)) return undefined;
  }
  return value;
}

/**
 * Writes a number into a header: octal where it fits, else base 256.
 *
 * @throws RangeError for what is no safe integer
 */
export function writeNumber(block: Buffer, offset: number, length: number, value: number): void {
  if (!Number.isSafeInteger(value))
    throw new RangeError(`Cannot write number ${value} into a tar header: not an integer`);
  if (value >= 0) {
    const digits = value.toString(8);
    if (digits.length < length) {
      block.write(digits.padStart(length - 1, '0'), offset, 'latin1');
      block[offset + length - 1] = 0;
      return;
    }
  }
  let rest = value;
  for (let at = offset + length - 1; at > offset; at--) {
    block[at] = ((rest % 256) + 256) % 256;
    rest = Math.floor(rest / 256);
  }
  block[offset] = value < 0 ? 0xff : 0x80;
}
