import { lstatSync, rmdirSync, unlinkSync } from 'node:fs';
import { isSystemError } from '../base/coded-error.ts';
import { baseOf, fsPath, joinPath, parentOf, showPath } from './_byte-path.ts';
import type { Directories } from './_directories.ts';
import { listNames } from './_tree.ts';
import { ArchiveError } from './archive-error.ts';

/** @see OCI image-spec v1.1.1, layer.md, "Whiteouts" */
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** What AUFS kept for itself; nobody has meant it for a container. */
const AUFS_META = '.wh..wh.';

/** What a path of a layer stands for: a file of its own, a mark on lower layers, or nothing. */
export type Meaning =
  | { readonly kind: 'entry' }
  | { readonly kind: 'whiteout'; readonly of: string }
  | { readonly kind: 'opaque'; readonly directory: string }
  | { readonly kind: 'none' };

const ENTRY: Meaning = { kind: 'entry' };

/** @throws ArchiveError `BAD_ARCHIVE` for a whiteout of nothing, of its directory or of the one above */
export function meaningOf(path: string): Meaning {
  if (!path.includes(WHITEOUT)) return ENTRY;
  const base = baseOf(path);
  const parent = parentOf(path);
  if (isAufsMeta(base === OPAQUE ? parent : path)) return { kind: 'none' };
  if (base === OPAQUE) return { kind: 'opaque', directory: parent };
  if (!base.startsWith(WHITEOUT)) return ENTRY;
  const name = base.slice(WHITEOUT.length);
  if (name === '' || name === '.' || name === '..') {
    throw new ArchiveError('BAD_ARCHIVE', `Cannot apply whiteout ${showPath(path)}: it names nothing`);
  }
  return { kind: 'whiteout', of: joinPath(parent, name) };
}

function isAufsMeta(path: string): boolean {
  return path.split('/').some((part) => part.startsWith(AUFS_META));
}

/** Keeps or carries out the marks of one layer. */
export interface Whiteouts {
  /** Notes that the layer itself made something at `path`. */
  made(path: string): void;
  whiteout(path: string): void;
  opaque(directory: string): void;
  /** Says in the end what marks the layer holds. */
  settle(isPending: (path: string) => boolean): SettledMarks;
}

export interface SettledMarks {
  readonly whiteouts: string[];
  readonly opaque: string[];
  /** Directories of the layer whose namesakes below are whited out: nothing of those is taken over. */
  readonly replacing: ReadonlySet<string>;
}

/** Keeps marks for overlayfs: the directory holds this layer alone. */
export class KeptWhiteouts implements Whiteouts {
  readonly #directories: Directories;
  readonly #opaque = new Set<string>();
  readonly #whiteouts = new Set<string>();

  constructor(directories: Directories) {
    this.#directories = directories;
  }

  made(): void {
    // Whether a mark and a file of the layer meet is seen in the end, on disk.
  }

  whiteout(path: string): void {
    this.#whiteouts.add(this.#directories.place(path));
  }

  opaque(directory: string): void {
    this.#opaque.add(parentOf(this.#directories.place(joinPath(directory, OPAQUE))));
  }

  settle(isPending: (path: string) => boolean): SettledMarks {
    const remaining: string[] = [];
    const replacing = new Set<string>();
    for (const path of this.#whiteouts) {
      // A later replacement may have put a link or a file on the way: then nothing of the lower layer shows anyway.
      if (!this.#directories.isReal(parentOf(path))) continue;
      const facts = lstatSync(fsPath(this.#directories.absolute(path)), { throwIfNoEntry: false });
      if (facts === undefined) {
        if (!isPending(path)) remaining.push(path);
      } else if (facts.isDirectory()) {
        this.#opaque.add(path);
        replacing.add(path);
      }
    }
    return {
      // Below an opaque directory nothing is left to white out, and overlayfs would list the mark itself.
      whiteouts: remaining.filter((path) => !isBelow(path, this.#opaque)),
      opaque: [...this.#opaque].filter((path) => this.#directories.isStillReal(path)),
      replacing,
    };
  }
}

function isBelow(path: string, directories: ReadonlySet<string>): boolean {
  if (directories.size === 0) return false;
  for (let at = parentOf(path); at !== ''; at = parentOf(at)) if (directories.has(at)) return true;
  return directories.has('');
}

/** Carries marks out at once: the directory holds the lower layers as well. */
export class RemovingWhiteouts implements Whiteouts {
  readonly #directories: Directories;
  readonly #before: () => void;
  /** Paths this layer made: its own whiteouts spare them. */
  readonly #own = new Set<string>();

  /** @param before called before something is removed */
  constructor(directories: Directories, before: () => void) {
    this.#directories = directories;
    this.#before = before;
  }

  made(path: string): void {
    this.#own.add(path);
  }

  whiteout(path: string): void {
    const real = this.#directories.find(path);
    if (real !== undefined) this.#removeLower(real);
  }

  opaque(directory: string): void {
    const real = parentOf(this.#directories.place(joinPath(directory, OPAQUE)));
    for (const name of listNames(this.#directories.absolute(real))) this.#removeLower(joinPath(real, name));
  }

  settle(): SettledMarks {
    return { whiteouts: [], opaque: [], replacing: new Set() };
  }

  /** Removes what lower layers left at `path` and keeps what this layer made: whiteouts act on lower layers only. */
  #removeLower(path: string): void {
    this.#before();
    const absolute = this.#directories.absolute(path);
    const facts = lstatSync(fsPath(absolute), { throwIfNoEntry: false });
    if (facts === undefined) return;
    if (!facts.isDirectory()) {
      if (!this.#own.has(path)) unlinkSync(fsPath(absolute));
      return;
    }
    for (const name of listNames(absolute)) this.#removeLower(joinPath(path, name));
    if (this.#own.has(path)) return;
    try {
      rmdirSync(fsPath(absolute));
      this.#directories.forget();
    } catch (error) {
      if (!isSystemError(error, 'ENOTEMPTY')) throw error;
    }
  }
}
