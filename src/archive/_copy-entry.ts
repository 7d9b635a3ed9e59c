import {
  chmodSync,
  constants,
  copyFileSync,
  lchownSync,
  linkSync,
  lutimesSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  type Stats,
} from 'node:fs';
import { fsPath } from './_byte-path.ts';
import { makeNodes } from './_special-files.ts';
import { ArchiveError } from './archive-error.ts';

/** Minor numbers above 255 are spread over the device number. @see Linux, include/linux/kdev_t.h, `new_decode_dev` */
function deviceOf(rdev: number): { major: number; minor: number } {
  return { major: (rdev >> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >> 12) & 0xfff00) };
}

/** Gives `to` the mode, owner (as root) and times in `facts`. */
export function copyMetadata(to: string, facts: Stats): void {
  const path = fsPath(to);
  if (process.geteuid?.() === 0) lchownSync(path, facts.uid, facts.gid);
  if (facts.isSymbolicLink()) {
    lutimesSync(path, facts.atimeMs / 1000, facts.mtimeMs / 1000);
    return;
  }
  chmodSync(path, facts.mode & 0o7777);
  utimesSync(path, facts.atimeMs / 1000, facts.mtimeMs / 1000);
}

/** Copies something that is no directory, sharing its blocks where the file system can. Paths are absolute byte paths. */
export function copyEntry(from: string, to: string, facts: Stats): void {
  if (facts.isFile()) {
    copyFileSync(fsPath(from), fsPath(to), constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  } else if (facts.isSymbolicLink()) {
    symlinkSync(readlinkSync(fsPath(from), { encoding: 'buffer' }), fsPath(to));
  } else if (facts.isSocket()) {
    return;
  } else {
    const type = facts.isFIFO() ? 'fifo' : facts.isBlockDevice() ? 'block' : 'character';
    const complaint = makeNodes([{ path: to, type, ...deviceOf(facts.rdev) }]);
    if (complaint !== undefined) throw new ArchiveError('IO', `Cannot copy device node: ${complaint}`);
  }
  copyMetadata(to, facts);
}

/** Copies files that have several names once, and links their other names to the copy. */
export class LinkedCopies {
  readonly #copies = new Map<string, string>();

  /** Copies or links; see {@link copyEntry}. */
  copy(from: string, to: string, facts: Stats): void {
    const known = facts.nlink > 1 ? this.#copies.get(`${facts.dev}:${facts.ino}`) : undefined;
    if (known !== undefined) {
      linkSync(fsPath(known), fsPath(to));
      return;
    }
    copyEntry(from, to, facts);
    if (facts.nlink > 1) this.#copies.set(`${facts.dev}:${facts.ino}`, to);
  }
}
