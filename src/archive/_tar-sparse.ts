import { readNumber } from './_tar-number.ts';
import { ArchiveError } from './archive-error.ts';
import type { SparsePart } from './tar-entry.ts';

/** Reads up to `count` pairs of offset and length (12 bytes each) at `start`; an empty pair ends them. */
export function readSparsePairs(block: Buffer, start: number, count: number, into: SparsePart[]): void {
  for (let index = 0; index < count; index++) {
    const at = start + index * 24;
    if (block[at] === 0 || block[at + 12] === 0) return;
    const offset = readNumber(block, at, 12);
    const length = readNumber(block, at + 12, 12);
    if (offset === undefined || length === undefined) throw malformed('has a bad number');
    into.push({ offset, length });
  }
}

/** Reads the `offset,length,…` list of the pax formats 0.0 and 0.1. */
export function parseSparseList(text: string): SparsePart[] {
  if (text === '') return [];
  return pairs(text.split(','));
}

/** Most bytes of a sparse map that lies in the content: about 100,000 parts. */
const MAX_SPARSE_MAP_BYTES = 4 * 1024 * 1024;

/** The map of pax format 1.0, gathered block by block: a count, then offsets and lengths, one decimal number a line. */
export class SparseText {
  readonly #blocks: Buffer[] = [];
  #lines = 0;
  #needed: number | undefined;
  length = 0;

  /** Takes one more block and returns the map once it is whole. */
  add(block: Buffer): SparsePart[] | undefined {
    this.length += block.length;
    if (this.length > MAX_SPARSE_MAP_BYTES) {
      throw new ArchiveError('LIMIT', `Cannot read tar: sparse map exceeds ${MAX_SPARSE_MAP_BYTES} bytes`);
    }
    this.#blocks.push(Buffer.from(block));
    for (const byte of block) if (byte === 0x0a) this.#lines++;
    // The count is looked for in the first block only: it has at most 16 digits.
    this.#needed ??= 1 + 2 * decimal(block.toString('latin1').split('\n', 1)[0] ?? '');
    if (this.#lines < this.#needed) return undefined;
    return pairs(Buffer.concat(this.#blocks).toString('latin1').split('\n').slice(1, this.#needed));
  }
}

function pairs(numbers: readonly string[]): SparsePart[] {
  if (numbers.length % 2 !== 0) throw malformed('has an odd count of numbers');
  const parts: SparsePart[] = [];
  for (let index = 0; index < numbers.length; index += 2) {
    parts.push({ offset: decimal(numbers[index] ?? ''), length: decimal(numbers[index + 1] ?? '') });
  }
  return parts;
}

function decimal(text: string): number {
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw malformed('has a bad number');
  return value;
}

/** Refuses maps that overlap, go backwards, leave the file or do not account for the stored bytes. */
export function checkSparse(parts: readonly SparsePart[], size: number, stored: number): void {
  let end = 0;
  let sum = 0;
  for (const { offset, length } of parts) {
    if (offset < end || length < 0 || offset + length > size) throw malformed('overlaps or leaves the file');
    end = offset + length;
    sum += length;
  }
  if (sum !== stored) throw malformed(`covers ${sum} bytes, the entry has ${stored}`);
}

function malformed(state: string): ArchiveError {
  return new ArchiveError('BAD_ARCHIVE', `Cannot read tar: sparse map ${state}`);
}
