import type { Stats } from 'node:fs';
import { lstat, open, readdir, readlink } from 'node:fs/promises';

/** Bytes of two files that are compared at a time. */
const PIECE = 256 * 1024;

/**
 * Compares two trees entry by entry: types, modes, owners, times, sizes, devices, link targets, contents.
 *
 * @param anyTime paths (`latin1`, relative) of directories whose time nobody has set
 * @returns what the first difference is, undefined for none
 */
export async function firstDifference(
  left: string,
  right: string,
  anyTime: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const visit = async (path: string): Promise<string | undefined> => {
    signal.throwIfAborted();
    const [a, b] = [inside(left, path), inside(right, path)];
    const [factsA, factsB] = [await lstat(a), await lstat(b)];
    const name = JSON.stringify(path === '' ? '.' : Buffer.from(path, 'latin1').toString('utf8'));
    const differs = differentFact(factsA, factsB, anyTime.has(path));
    if (differs !== undefined) return `${name}: ${differs}`;
    if (factsA.isSymbolicLink() && !(await readlink(a, 'buffer')).equals(await readlink(b, 'buffer')))
      return `${name}: it leads elsewhere`;
    if (factsA.isFile() && !(await sameBytes(a, b, signal))) return `${name}: its content`;
    if (!factsA.isDirectory()) return undefined;
    const [namesA, namesB] = [await namesIn(a), await namesIn(b)];
    const odd =
      namesA.find((each) => !namesB.includes(each)) ?? namesB.find((each) => !namesA.includes(each));
    if (odd !== undefined) return `${name}: its entry ${JSON.stringify(odd)}`;
    for (const each of namesA) {
      const found = await visit(path === '' ? each : `${path}/${each}`);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return visit('');
}

function differentFact(a: Stats, b: Stats, anyTime: boolean): string | undefined {
  if (a.mode !== b.mode) return `its mode is ${a.mode.toString(8)}, not ${b.mode.toString(8)}`;
  if (a.uid !== b.uid || a.gid !== b.gid) return `its owner is ${a.uid}:${a.gid}, not ${b.uid}:${b.gid}`;
  if (a.isFile() && a.size !== b.size) return `its size is ${a.size}, not ${b.size}`;
  if ((a.isBlockDevice() || a.isCharacterDevice()) && a.rdev !== b.rdev) return 'its device';
  if (!anyTime && Math.floor(a.mtimeMs) !== Math.floor(b.mtimeMs)) return 'its time';
  return undefined;
}

async function sameBytes(a: Buffer, b: Buffer, signal: AbortSignal): Promise<boolean> {
  await using left = await open(a);
  await using right = await open(b);
  const [pieceA, pieceB] = [Buffer.allocUnsafe(PIECE), Buffer.allocUnsafe(PIECE)];
  for (let at = 0; ;) {
    signal.throwIfAborted();
    const [readA, readB] = await Promise.all([
      left.read(pieceA, 0, PIECE, at),
      right.read(pieceB, 0, PIECE, at),
    ]);
    if (readA.bytesRead !== readB.bytesRead) return false;
    if (readA.bytesRead === 0) return true;
    if (pieceA.compare(pieceB, 0, readA.bytesRead, 0, readA.bytesRead) !== 0) return false;
    at += readA.bytesRead;
  }
}

async function namesIn(directory: Buffer): Promise<string[]> {
  return (await readdir(directory, 'latin1')).toSorted();
}

function inside(root: string, path: string): Buffer {
  return path === ''
    ? Buffer.from(root)
    : Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, 'latin1')]);
}
