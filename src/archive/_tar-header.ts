import type { PaxRecords } from './_pax.ts';
import {
  FIELD,
  GNU_IS_EXTENDED_OFFSET,
  GNU_SPARSE_IN_HEADER,
  GNU_SPARSE_OFFSET,
  MAGIC_OFFSET,
  TYPE_OFFSET,
} from './_tar-format.ts';
import { readNumber } from './_tar-number.ts';
import { parseSparseList, readSparsePairs } from './_tar-sparse.ts';
import { ArchiveError } from './archive-error.ts';
import type { SparsePart, TarEntry, TarEntryType } from './tar-entry.ts';

/** A header block as it stands, before extension headers. */
export interface RawHeader {
  readonly type: string;
  readonly path: Buffer;
  readonly linkPath: Buffer;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly gnuSparse?: {
    readonly parts: SparsePart[];
    readonly extended: boolean;
    readonly realSize: number;
  };
}

export interface Extensions {
  readonly pax: PaxRecords | undefined;
  readonly longName: Buffer | undefined;
  readonly longLink: Buffer | undefined;
  readonly gnuParts: readonly SparsePart[] | undefined;
}

const ENTRY_TYPE: Readonly<Record<string, TarEntryType>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  // A contiguous file is a file to everyone.
  '7': 'file',
  S: 'file',
};

const XATTR_PREFIX = 'SCHILY.xattr.';

export function isZeroBlock(block: Buffer): boolean {
  return block[0] === 0 && block.every((byte) => byte === 0);
}

/** @throws ArchiveError `BAD_ARCHIVE` */
export function readHeader(block: Buffer): RawHeader {
  checkChecksum(block);
  const magic = block.toString('latin1', MAGIC_OFFSET, MAGIC_OFFSET + 8);
  const gnu = magic === 'ustar  \0';
  const ustar = magic.startsWith('ustar\0');
  const type = String.fromCharCode(block[TYPE_OFFSET] ?? 0);
  const header: RawHeader = {
    type,
    path: pathOf(block, ustar),
    linkPath: text(block, FIELD.linkName),
    mode: number(block, 'mode') & 0o7777,
    uid: number(block, 'uid'),
    gid: number(block, 'gid'),
    size: number(block, 'size'),
    mtime: number(block, 'mtime'),
    // V7 has no device fields; what lies there means nothing.
    devMajor: gnu || ustar ? number(block, 'devMajor') : 0,
    devMinor: gnu || ustar ? number(block, 'devMinor') : 0,
  };
  if (header.size < 0) throw new ArchiveError('BAD_ARCHIVE', 'Cannot read tar: header has a negative size');
  if (type !== 'S') return header;
  const parts: SparsePart[] = [];
  readSparsePairs(block, GNU_SPARSE_OFFSET, GNU_SPARSE_IN_HEADER, parts);
  return {
    ...header,
    gnuSparse: {
      parts,
      extended: block[GNU_IS_EXTENDED_OFFSET] !== 0,
      realSize: number(block, 'gnuRealSize'),
    },
  };
}

/** Puts header and extension headers together. `stored` is the count of bytes that follow in the archive. */
export function entryOf(
  raw: RawHeader,
  extensions: Extensions,
): { entry: TarEntry; stored: number; sparseInData: boolean } {
  const pax = extensions.pax ?? NO_RECORDS;
  const size = paxNumber(pax, 'size') ?? raw.size;
  // Of two names in one archive Go's reader takes GNU's, and so does every container tool.
  const path = extensions.longName ?? paxText(pax, 'path') ?? raw.path;
  const type = typeOf(raw.type, path);
  // As Go's reader and so every container tool: entries without content have none, whatever the size field says.
  const stored = type === 'file' ? size : 0;
  const paxSparse =
    type === 'file' &&
    pax.get('GNU.sparse.major')?.toString() === '1' &&
    pax.get('GNU.sparse.minor')?.toString() === '0';
  const listed = pax.get('GNU.sparse.map');
  const sparse =
    extensions.gnuParts ?? (listed === undefined ? undefined : parseSparseList(listed.toString('latin1')));
  const isSparse = type === 'file' && (sparse !== undefined || paxSparse);
  const realSize =
    raw.gnuSparse?.realSize ??
    paxNumber(pax, 'GNU.sparse.realsize') ??
    paxNumber(pax, 'GNU.sparse.size') ??
    size;
  const atime = paxTime(pax, 'atime');
  const entry: TarEntry = {
    type,
    path: isSparse ? (paxText(pax, 'GNU.sparse.name') ?? path) : path,
    linkPath: extensions.longLink ?? paxText(pax, 'linkpath') ?? raw.linkPath,
    mode: raw.mode,
    uid: paxNumber(pax, 'uid') ?? raw.uid,
    gid: paxNumber(pax, 'gid') ?? raw.gid,
    size: isSparse ? realSize : stored,
    mtime: paxTime(pax, 'mtime') ?? raw.mtime,
    ...(atime === undefined ? {} : { atime }),
    devMajor: raw.devMajor,
    devMinor: raw.devMinor,
    xattrs: xattrsOf(pax),
    ...(isSparse && sparse !== undefined ? { sparse } : {}),
  };
  return { entry, stored, sparseInData: paxSparse && extensions.gnuParts === undefined };
}

const NO_RECORDS: PaxRecords = new Map();
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();

function xattrsOf(pax: PaxRecords): ReadonlyMap<string, Buffer> {
  let found: Map<string, Buffer> | undefined;
  for (const [key, value] of pax) {
    if (!key.startsWith(XATTR_PREFIX)) continue;
    found ??= new Map();
    found.set(key.slice(XATTR_PREFIX.length), value);
  }
  return found ?? NO_XATTRS;
}

function typeOf(flag: string, path: Buffer): TarEntryType {
  const type = Object.hasOwn(ENTRY_TYPE, flag) ? ENTRY_TYPE[flag] : undefined;
  if (type === undefined) {
    throw new ArchiveError(
      'UNSUPPORTED',
      `Cannot read tar: entry type ${JSON.stringify(flag)} of ${quote(path)} is not known`,
    );
  }
  // Before ustar a directory was a file whose name ends in a slash. With a type that says so a file is one, and has bytes.
  return flag === '\0' && path[path.length - 1] === 0x2f ? 'directory' : type;
}

function quote(path: Buffer): string {
  return JSON.stringify(path.toString('utf8'));
}

function pathOf(block: Buffer, ustar: boolean): Buffer {
  const name = text(block, FIELD.name);
  if (!ustar) return name;
  const star = block.toString('latin1', 508, 512) === 'tar\0';
  const prefix = text(block, star ? FIELD.starPrefix : FIELD.prefix);
  return prefix.length === 0 ? name : Buffer.concat([prefix, SLASH, name]);
}

const SLASH = Buffer.from('/');

/** Copies a text field up to its NUL: the block is only lent. */
function text(block: Buffer, [offset, length]: readonly [number, number]): Buffer {
  let end = offset;
  while (end < offset + length && block[end] !== 0) end++;
  return end === offset ? EMPTY : Buffer.from(block.subarray(offset, end));
}

const EMPTY = Buffer.alloc(0);

function number(block: Buffer, field: keyof typeof FIELD): number {
  const [offset, length] = FIELD[field];
  const value = readNumber(block, offset, length);
  if (value === undefined)
    throw new ArchiveError('BAD_ARCHIVE', `Cannot read tar: header field ${field} is no number`);
  return value;
}

function paxText(pax: PaxRecords, key: string): Buffer | undefined {
  const value = pax.get(key);
  return value === undefined || value.length === 0 ? undefined : value;
}

function paxNumber(pax: PaxRecords, key: string): number | undefined {
  const value = paxText(pax, key);
  if (value === undefined) return undefined;
  const parsed = /^[0-9]{1,16}$/.test(value.toString('latin1'))
    ? Number(value.toString('latin1'))
    : Number.NaN;
  if (!Number.isSafeInteger(parsed))
    throw new ArchiveError('BAD_ARCHIVE', `Cannot read tar: pax record ${key} is no number`);
  return parsed;
}

function paxTime(pax: PaxRecords, key: string): number | undefined {
  const value = paxText(pax, key)?.toString('latin1');
  if (value === undefined) return undefined;
  if (!/^-?[0-9]{1,16}(\.[0-9]*)?$/.test(value)) {
    throw new ArchiveError('BAD_ARCHIVE', `Cannot read tar: pax record ${key} is no time`);
  }
  return Number(value);
}

/** The sum of the block's bytes with the checksum field as spaces; some old writers summed signed bytes. */
function checkChecksum(block: Buffer): void {
  const [offset, length] = FIELD.checksum;
  const expected = readNumber(block, offset, length);
  const field = block.subarray(offset, offset + length);
  if (expected === unsignedSum(block) - unsignedSum(field) + 0x20 * length) return;
  if (expected === signedSum(block) - signedSum(field) + 0x20 * length) return;
  throw new ArchiveError('BAD_ARCHIVE', 'Cannot read tar: header checksum is wrong');
}

/** Four bytes at a time, most of which are zero in a header: byte by byte took a tenth of making small files. */
function unsignedSum(bytes: Buffer): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 4) {
    const word = view.getUint32(at);
    if (word !== 0) sum += (word >>> 24) + ((word >>> 16) & 0xff) + ((word >>> 8) & 0xff) + (word & 0xff);
  }
  return sum;
}

function signedSum(bytes: Buffer): number {
  return bytes.reduce((sum, byte) => sum + (byte < 0x80 ? byte : byte - 0x100), 0);
}
