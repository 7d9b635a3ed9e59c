import { lstatSync, mkdirSync, readlinkSync, type Stats } from 'node:fs';
import { isSystemError } from '../base/coded-error.ts';
import { baseOf, cleanPath, fsPath, joinPath, parentOf, showPath } from './_byte-path.ts';
import { ArchiveError } from './archive-error.ts';

/** Most links followed while one path is resolved: the limit of Linux. */
const MAX_LINKS = 40;

/**
 * Knows which paths below a root are real directories, so that nothing is ever made through a link that leads out.
 * Every component of a parent is looked at once; links on the way are resolved within the root, as `chroot` would.
 *
 * Node has no openat, so this holds as long as nobody else changes the tree meanwhile: the target of an unpacking is private.
 */
export class Directories {
  readonly #root: string;
  readonly #known = new Set<string>(['']);
  #replaced = false;
  /** Directories that were made because something lay in them. */
  readonly implied = new Set<string>();
  /** Directories that were there before, with the times they had: putting something into them is not to show. */
  readonly existing = new Map<string, { readonly atime: number; readonly mtime: number }>();

  /** @param root absolute byte path of a real directory */
  constructor(root: string) {
    this.#root = root;
    this.#note('', lstatSync(fsPath(root)));
  }

  /** Returns the absolute byte path. */
  absolute(path: string): string {
    return path === '' ? this.#root : `${this.#root}/${path}`;
  }

  /** Notes that `path` is a directory now. */
  add(path: string): void {
    this.#known.add(path);
  }

  has(path: string): boolean {
    return this.#known.has(path);
  }

  /** Says that a directory went away: everything is looked at anew, so that no scan for what lay below it is needed. */
  forget(): void {
    this.#replaced = true;
    this.#known.clear();
    this.#known.add('');
  }

  /** Tells whether a path that was a directory once is one still; looks only when any went away. */
  isStillReal(path: string): boolean {
    return !this.#replaced || this.isReal(path);
  }

  /** Tells whether `path` is a directory and no link lies on the way to it. */
  isReal(path: string): boolean {
    if (this.#known.has(path)) return true;
    const parent = parentOf(path);
    if (!this.isReal(parent)) return false;
    const facts = lstatSync(fsPath(this.absolute(path)), { throwIfNoEntry: false });
    if (facts?.isDirectory() !== true) return false;
    this.#known.add(path);
    return true;
  }

  /**
   * Returns where `path` really lies: its parent resolved and made where it is missing, its last component untouched.
   *
   * @throws ArchiveError `BAD_ARCHIVE` when something on the way is no directory
   */
  place(path: string): string {
    const parent = parentOf(path);
    if (this.#known.has(parent)) return path;
    const real = this.#resolve(parent, true);
    if (real === undefined) throw new Error('unreachable: missing directories are made');
    return joinPath(real, baseOf(path));
  }

  /** As {@link place}, but makes nothing; undefined when the parent is not there. */
  find(path: string): string | undefined {
    const parent = parentOf(path);
    if (this.#known.has(parent)) return path;
    const real = this.#resolve(parent, false);
    if (real === undefined) return undefined;
    return joinPath(real, baseOf(path));
  }

  #resolve(path: string, make: boolean): string | undefined {
    let rest = path.split('/');
    let real = '';
    let links = 0;
    while (rest.length > 0) {
      const name = rest.shift() ?? '';
      if (name === '' || name === '.') continue;
      if (name === '..') {
        real = parentOf(real);
        continue;
      }
      const next = joinPath(real, name);
      if (this.#known.has(next)) {
        real = next;
        continue;
      }
      const facts = lstatSync(fsPath(this.absolute(next)), { throwIfNoEntry: false });
      if (facts === undefined) {
        if (!make) return undefined;
        this.#make(next);
        real = next;
      } else if (facts.isDirectory()) {
        this.#note(next, facts);
        this.#known.add(next);
        real = next;
      } else if (facts.isSymbolicLink()) {
        if (++links > MAX_LINKS) throw notDirectory(path, 'has too many links on its way');
        const target = readlinkSync(fsPath(this.absolute(next)), { encoding: 'latin1' });
        if (target.startsWith('/')) real = '';
        rest = [...target.split('/'), ...rest];
      } else {
        if (!make) return undefined;
        throw notDirectory(path, `${showPath(next)} is not a directory`);
      }
    }
    return real;
  }

  #note(path: string, facts: Stats): void {
    if (this.implied.has(path) || this.existing.has(path)) return;
    this.existing.set(path, { atime: facts.atimeMs / 1000, mtime: facts.mtimeMs / 1000 });
  }

  #make(path: string): void {
    try {
      mkdirSync(fsPath(this.absolute(path)), { mode: 0o755 });
    } catch (error) {
      if (!isSystemError(error, 'EEXIST')) throw error;
    }
    this.#known.add(path);
    this.implied.add(path);
  }
}

function notDirectory(path: string, state: string): ArchiveError {
  return new ArchiveError('BAD_ARCHIVE', `Cannot make directory ${showPath(cleanPath(path))}: ${state}`);
}
