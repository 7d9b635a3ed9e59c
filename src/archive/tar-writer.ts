import { formatPaxRecord } from './_pax.ts';
import { BLOCK, FIELD, MAGIC_OFFSET, paddingOf, TYPE_OFFSET } from './_tar-format.ts';
import { writeNumber } from './_tar-number.ts';
import type { TarEntry, TarEntryType } from './tar-entry.ts';

const TYPE_FLAG: Readonly<Record<TarEntryType, string>> = {
  file: '0',
  link: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

/** What an entry to write needs; the rest has defaults. */
export type TarEntryInput = Pick<TarEntry, 'type'> &
  Partial<Omit<TarEntry, 'type' | 'path' | 'linkPath' | 'sparse'>> & {
    readonly path: string | Buffer;
    readonly linkPath?: string | Buffer;
  };

/**
 * Prints the blocks that precede an entry's bytes: a ustar header, before it a pax header for what ustar cannot say.
 * Sizes of content follow the entry's `size`; the caller appends the bytes and {@link tarPadding}.
 */
export function tarHeader(input: TarEntryInput): Buffer {
  const path = directoryPath(input.type, bytesOf(input.path));
  const linkPath = bytesOf(input.linkPath ?? '');
  const pax: Buffer[] = [];
  const say = (key: string, value: string | Buffer): void => {
    pax.push(formatPaxRecord(key, bytesOf(value)));
  };
  const split = splitPath(path);
  if (split === undefined) say('path', path);
  if (linkPath.length > FIELD.linkName[1]) say('linkpath', linkPath);
  const mtime = input.mtime ?? 0;
  if (!Number.isInteger(mtime)) say('mtime', decimalSeconds(mtime));
  if (input.atime !== undefined) say('atime', decimalSeconds(input.atime));
  for (const [name, value] of [...(input.xattrs ?? [])].sort(([a], [b]) => (a < b ? -1 : 1))) {
    say(`SCHILY.xattr.${name}`, value);
  }
  const header = ustarHeader({
    flag: TYPE_FLAG[input.type],
    name: split?.name ?? path.subarray(0, FIELD.name[1]),
    prefix: split?.prefix ?? Buffer.alloc(0),
    linkName: linkPath.subarray(0, FIELD.linkName[1]),
    mode: input.mode ?? (input.type === 'directory' ? 0o755 : 0o644),
    uid: input.uid ?? 0,
    gid: input.gid ?? 0,
    size: input.type === 'file' ? (input.size ?? 0) : 0,
    mtime: Math.floor(mtime),
    devMajor: input.devMajor ?? 0,
    devMinor: input.devMinor ?? 0,
  });
  if (pax.length === 0) return header;
  const records = Buffer.concat(pax);
  const extension = ustarHeader({
    flag: 'x',
    name: Buffer.from('PaxHeaders/entry'),
    prefix: Buffer.alloc(0),
    linkName: Buffer.alloc(0),
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: records.length,
    mtime: 0,
    devMajor: 0,
    devMinor: 0,
  });
  return Buffer.concat([extension, records, tarPadding(records.length), header]);
}

/** Returns the zero bytes that follow `size` bytes of content. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc(paddingOf(size));
}

/** The two zero blocks that end an archive. */
export const TAR_END = Buffer.alloc(2 * BLOCK);

interface UstarFields {
  readonly flag: string;
  readonly name: Buffer;
  readonly prefix: Buffer;
  readonly linkName: Buffer;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly devMajor: number;
  readonly devMinor: number;
}

function ustarHeader(fields: UstarFields): Buffer {
  const block = Buffer.alloc(BLOCK);
  fields.name.copy(block, FIELD.name[0]);
  writeNumber(block, ...FIELD.mode, fields.mode & 0o7777);
  writeNumber(block, ...FIELD.uid, fields.uid);
  writeNumber(block, ...FIELD.gid, fields.gid);
  writeNumber(block, ...FIELD.size, fields.size);
  writeNumber(block, ...FIELD.mtime, fields.mtime);
  block.write(fields.flag, TYPE_OFFSET, 'latin1');
  fields.linkName.copy(block, FIELD.linkName[0]);
  block.write('ustar\x0000', MAGIC_OFFSET, 'latin1');
  writeNumber(block, ...FIELD.devMajor, fields.devMajor);
  writeNumber(block, ...FIELD.devMinor, fields.devMinor);
  fields.prefix.copy(block, FIELD.prefix[0]);
  const [at, length] = FIELD.checksum;
  block.fill(0x20, at, at + length);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, at, 'latin1');
  return block;
}

/** Splits a path into prefix and name at a slash, as ustar wants; undefined when it does not fit. */
function splitPath(path: Buffer): { prefix: Buffer; name: Buffer } | undefined {
  if (path.length <= FIELD.name[1]) return { prefix: Buffer.alloc(0), name: path };
  // A trailing slash stays with the name: an empty name would lose it.
  for (
    let slash = path.indexOf(0x2f, path.length - FIELD.name[1] - 1);
    slash > 0;
    slash = path.indexOf(0x2f, slash + 1)
  ) {
    if (slash > FIELD.prefix[1] || slash >= path.length - 1) return undefined;
    return { prefix: path.subarray(0, slash), name: path.subarray(slash + 1) };
  }
  return undefined;
}

function directoryPath(type: TarEntryType, path: Buffer): Buffer {
  return type === 'directory' && path[path.length - 1] !== 0x2f
    ? Buffer.concat([path, Buffer.from('/')])
    : path;
}

function bytesOf(value: string | Buffer): Buffer {
  return typeof value === 'string' ? Buffer.from(value) : value;
}

/** Prints seconds with up to nanoseconds, never in exponent form. */
function decimalSeconds(seconds: number): string {
  return seconds.toFixed(9).replace(/\.?0+$/, '');
}
