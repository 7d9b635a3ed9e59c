import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  futimesSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { isSystemError, messageOf } from '../base/coded-error.ts';
import { baseOf, bytePath, cleanPath, fsPath, parentOf, showPath } from './_byte-path.ts';
import { Directories } from './_directories.ts';
import { SpecialFiles } from './_pending-special.ts';
import { listNames, removeTree } from './_tree.ts';
import { Skipped } from './_skipped.ts';
import { MAX_ENTRIES, MAX_PATH_BYTES, type ApplyOptions, type ApplyReport } from './apply-options.ts';
import { ArchiveError } from './archive-error.ts';
import { markOverlay } from './overlay-marks.ts';
import type { TarEntry } from './tar-entry.ts';
import type { TarHandler } from './tar-parser.ts';

/** @see OCI image-spec v1.1.1, layer.md, "Whiteouts" */
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** What AUFS kept for itself; nobody has meant it for a container. */
const AUFS_META = '.wh..wh.';
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/** Times beyond these seconds do not fit nanoseconds of 64 bits; container runtimes make them the epoch. */
const MAX_SECONDS = 9_223_372_036;
/** The largest owner; the one above means "do not change" to chown. */
const MAX_OWNER = 0xffff_fffe;

interface Metadata {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly atime: number;
  /** Whether the mode is on disk already. */
  readonly modeSet?: boolean;
}

/**
 * Makes the files of one layer below a directory, entry by entry, with synchronous calls: it runs in a worker thread.
 * The directory must be private to this process: Node has no openat, so nobody else may change it meanwhile.
 *
 * @see OCI image-spec v1.1.1, layer.md
 */
export class LayerApplier implements TarHandler {
  readonly #options: ApplyOptions;
  readonly #directories: Directories;
  readonly #special: SpecialFiles;
  readonly #skipped: Skipped;
  readonly #setOwners: boolean;
  readonly #maxEntries: number;
  readonly #umask: number;
  readonly #uid = process.geteuid?.() ?? 0;
  readonly #gid = process.getegid?.() ?? 0;
  /** What directories are to be like in the end: work in them would change their times. */
  readonly #directoryMetadata = new Map<string, Metadata>();
  readonly #opaque = new Set<string>();
  readonly #whiteouts = new Set<string>();
  readonly #links = new Map<string, string>();
  /** Paths this layer made, while lower layers share the directory: its own whiteouts spare them. */
  readonly #own = new Set<string>();
  #replaced = false;
  #entries = 0;
  #bytes = 0;
  #fd: number | undefined;
  #file: TarEntry | undefined;

  constructor(root: string, options: ApplyOptions) {
    this.#options = options;
    this.#directories = new Directories(bytePath(root));
    this.#skipped = new Skipped(options.recordPath);
    this.#special = new SpecialFiles(this.#skipped);
    this.#setOwners = (options.owners ?? (this.#uid === 0 ? 'apply' : 'record')) === 'apply';
    this.#maxEntries = options.maxEntries ?? MAX_ENTRIES;
    this.#umask = process.umask();
  }

  entry(entry: TarEntry): void {
    if (++this.#entries > this.#maxEntries) {
      throw new ArchiveError('LIMIT', `Cannot apply layer: it has more than ${this.#maxEntries} entries`);
    }
    if (entry.path.length > MAX_PATH_BYTES || entry.linkPath.length > MAX_PATH_BYTES) {
      throw new ArchiveError('LIMIT', `Cannot apply layer: a path is longer than ${MAX_PATH_BYTES} bytes`);
    }
    if (entry.path.includes(0) || entry.linkPath.includes(0)) {
      throw new ArchiveError('BAD_ARCHIVE', 'Cannot apply layer: a path contains a NUL');
    }
    const path = cleanPath(entry.path.toString('latin1'));
    try {
      this.#apply(path, entry);
    } catch (error) {
      throw applyError(error, path);
    }
  }

  data(chunk: Buffer, offset: number): void {
    this.#bytes += chunk.length;
    if (this.#fd === undefined) return;
    try {
      const position = this.#file?.sparse === undefined ? null : offset;
      for (let done = 0; done < chunk.length;) {
        done += writeSync(
          this.#fd,
          chunk,
          done,
          chunk.length - done,
          position === null ? null : position + done,
        );
      }
    } catch (error) {
      throw applyError(error, this.#file?.path.toString('latin1') ?? '');
    }
  }

  end(): void {
    const fd = this.#fd;
    const file = this.#file;
    if (fd === undefined || file === undefined) return;
    try {
      if (file.sparse !== undefined) ftruncateSync(fd, file.size);
      const { mode, uid, gid, mtime, atime } = this.#metadataOf(file);
      const chowned = this.#needsOwner(uid, gid);
      if (chowned) fchownSync(fd, uid, gid);
      // The mode of a new file went through the umask, and a change of owner takes set-id bits away.
      if ((mode & this.#umask) !== 0 || (mode & 0o7000) !== 0) fchmodSync(fd, mode);
      futimesSync(fd, atime, mtime);
    } catch (error) {
      throw applyError(error, file.path.toString('latin1'));
    } finally {
      this.#fd = undefined;
      this.#file = undefined;
      closeSync(fd);
    }
  }

  /** Ends the layer: special files, whiteouts, then the metadata of directories from the deepest up. */
  finish(): ApplyReport {
    try {
      this.#special.flush();
      const whiteouts = this.#settleWhiteouts();
      const opaque = [...this.#opaque].filter((path) => this.#isDirectory(path));
      const { overlay } = this.#options;
      // Before the directories get their times: a whiteout changes those of the directory that it lies in.
      const overlayReady =
        overlay !== undefined && markOverlay(this.#directories.absolute(''), { whiteouts, opaque }, overlay);
      const implied = [...this.#directories.implied].filter(
        (path) => !this.#directoryMetadata.has(path) && this.#isDirectory(path),
      );
      const xattrs = this.#special.settleXattrs((path) => this.#directories.isReal(parentOf(path)));
      this.#settleDirectories();
      return {
        entries: this.#entries,
        bytes: this.#bytes,
        rootDeclared: this.#directoryMetadata.has(''),
        impliedDirectories: implied,
        pendingLinks: [...this.#links].map(([path, target]) => ({ path, target })),
        whiteouts,
        opaque,
        overlayReady,
        xattrs,
        skipped: this.#skipped.counts,
      };
    } finally {
      this.dispose();
    }
  }

  /** Closes what is open; harmless after {@link finish}. */
  dispose(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    this.#skipped.close();
  }

  #apply(path: string, entry: TarEntry): void {
    if (path === '') {
      if (entry.type !== 'directory') {
        throw new ArchiveError('BAD_ARCHIVE', `Cannot apply layer: its root is a ${entry.type}`);
      }
      this.#directoryMetadata.set('', this.#metadataOf(entry));
      return;
    }
    const base = baseOf(path);
    if (path.includes(AUFS_META) && base !== OPAQUE && isAufsMeta(path)) return;
    if (base.startsWith(WHITEOUT)) {
      this.#whiteout(path, base);
      return;
    }
    const real = this.#directories.place(path);
    if (this.#options.whiteouts === 'remove') this.#own.add(real);
    if (this.#special.has(real)) this.#special.flush();
    if (this.#links.size > 0) this.#links.delete(real);
    switch (entry.type) {
      case 'file':
        this.#openFile(real, entry);
        break;
      case 'directory':
        this.#makeDirectory(real, entry);
        break;
      case 'symlink':
        this.#makeLink(real, entry);
        break;
      case 'link':
        this.#makeHardLink(real, entry);
        break;
      case 'character':
      case 'block':
      case 'fifo':
        this.#clear(real);
        this.#makeNode(real, entry, entry.type);
        break;
    }
    if (entry.xattrs.size > 0 && entry.type !== 'link') {
      this.#special.setXattrs(real, this.#directories.absolute(real), entry.xattrs);
    }
  }

  #openFile(path: string, entry: TarEntry): void {
    const { mode } = this.#metadataOf(entry);
    const absolute = fsPath(this.#directories.absolute(path));
    try {
      this.#fd = openSync(absolute, CREATE, mode & 0o777);
    } catch (error) {
      if (!isSystemError(error, 'EEXIST')) throw error;
      this.#clear(path);
      this.#fd = openSync(absolute, CREATE, mode & 0o777);
    }
    this.#file = entry;
    this.#recordOwner(path, entry);
  }

  #makeDirectory(path: string, entry: TarEntry): void {
    const absolute = fsPath(this.#directories.absolute(path));
    const metadata = this.#metadataOf(entry);
    // Its owner has to be able to fill it; what its own mode takes away is taken in the end.
    const mode = (metadata.mode & 0o777) | 0o700;
    let modeSet = false;
    if (!this.#directories.has(path)) {
      try {
        mkdirSync(absolute, { mode });
        modeSet = (mode & ~this.#umask) === metadata.mode;
      } catch (error) {
        if (!isSystemError(error, 'EEXIST')) throw error;
        if (lstatSync(absolute).isDirectory()) {
          // Whoever made it may have made it unwritable to all but root.
          if (this.#uid !== 0) chmodSync(absolute, 0o700);
        } else {
          this.#clear(path);
          mkdirSync(absolute, { mode });
        }
      }
      this.#directories.add(path);
    }
    this.#directoryMetadata.set(path, { ...metadata, modeSet });
    this.#recordOwner(path, entry);
  }

  #makeLink(path: string, entry: TarEntry): void {
    const absolute = fsPath(this.#directories.absolute(path));
    try {
      symlinkSync(entry.linkPath, absolute);
    } catch (error) {
      if (!isSystemError(error, 'EEXIST')) throw error;
      this.#clear(path);
      symlinkSync(entry.linkPath, absolute);
    }
    const { uid, gid, mtime, atime } = this.#metadataOf(entry);
    if (this.#needsOwner(uid, gid)) lchownSync(absolute, uid, gid);
    lutimesSync(absolute, atime, mtime);
    this.#recordOwner(path, entry);
  }

  #makeHardLink(path: string, entry: TarEntry): void {
    const target = cleanPath(entry.linkPath.toString('latin1'));
    this.#special.flush();
    const real = this.#directories.find(target);
    const found =
      real === undefined
        ? undefined
        : lstatSync(fsPath(this.#directories.absolute(real)), { throwIfNoEntry: false });
    if (real === undefined || found === undefined) {
      // The target may itself be waiting for a lower layer.
      if (this.#options.whiteouts === 'overlay') {
        this.#clear(path);
        this.#links.set(path, (real === undefined ? undefined : this.#links.get(real)) ?? target);
        return;
      }
      throw new ArchiveError('BAD_ARCHIVE', `Cannot link to ${showPath(target)}: it does not exist`);
    }
    if (real === path) return;
    const from = fsPath(this.#directories.absolute(real));
    const to = fsPath(this.#directories.absolute(path));
    try {
      linkSync(from, to);
    } catch (error) {
      if (!isSystemError(error, 'EEXIST')) throw error;
      this.#clear(path);
      linkSync(from, to);
    }
  }

  #makeNode(path: string, entry: TarEntry, type: 'character' | 'block' | 'fifo'): void {
    if (type !== 'fifo' && this.#uid !== 0) {
      this.#skipped.add('device', path, {
        type,
        major: entry.devMajor,
        minor: entry.devMinor,
        mode: entry.mode,
      });
      return;
    }
    const absolute = this.#directories.absolute(path);
    const { mode, uid, gid, mtime, atime } = this.#metadataOf(entry);
    this.#special.makeNode(
      path,
      { path: absolute, type, major: entry.devMajor, minor: entry.devMinor },
      () => {
        if (this.#needsOwner(uid, gid)) lchownSync(fsPath(absolute), uid, gid);
        chmodSync(fsPath(absolute), mode);
        utimesSync(fsPath(absolute), atime, mtime);
      },
    );
    this.#recordOwner(path, entry);
  }

  #whiteout(path: string, base: string): void {
    const parent = parentOf(path);
    if (base === OPAQUE) {
      const real = parentOf(this.#directories.place(path));
      if (this.#options.whiteouts === 'overlay') this.#opaque.add(real);
      else
        for (const name of listNames(this.#directories.absolute(real))) this.#removeLower(join(real, name));
      return;
    }
    const name = base.slice(WHITEOUT.length);
    if (name === '' || name === '.' || name === '..') {
      throw new ArchiveError('BAD_ARCHIVE', `Cannot apply whiteout ${showPath(path)}: it names nothing`);
    }
    const original = join(parent, name);
    if (this.#options.whiteouts === 'overlay') {
      this.#whiteouts.add(this.#directories.place(original));
      return;
    }
    const real = this.#directories.find(original);
    if (real !== undefined) this.#removeLower(real);
  }

  /** Removes what lower layers left at `path` and keeps what this layer made: whiteouts act on lower layers only. */
  #removeLower(path: string): void {
    if (this.#special.size > 0) this.#special.flush();
    const absolute = this.#directories.absolute(path);
    const facts = lstatSync(fsPath(absolute), { throwIfNoEntry: false });
    if (facts === undefined) return;
    if (!facts.isDirectory()) {
      if (!this.#own.has(path)) unlinkSync(fsPath(absolute));
      return;
    }
    for (const name of listNames(absolute)) this.#removeLower(join(path, name));
    if (this.#own.has(path)) return;
    try {
      rmdirSync(fsPath(absolute));
      this.#gone();
    } catch (error) {
      if (!isSystemError(error, 'ENOTEMPTY')) throw error;
    }
  }

  /** Makes room for an entry that replaces another: the later one counts. */
  #clear(path: string): void {
    this.#special.flush();
    const absolute = this.#directories.absolute(path);
    const facts = lstatSync(fsPath(absolute), { throwIfNoEntry: false });
    this.#special.forget(path);
    if (facts === undefined) return;
    if (facts.isDirectory()) {
      removeTree(absolute);
      this.#directoryMetadata.delete(path);
      this.#gone();
    } else {
      unlinkSync(fsPath(absolute));
    }
  }

  #gone(): void {
    this.#directories.forget();
    this.#replaced = true;
  }

  #isDirectory(path: string): boolean {
    return this.#replaced ? this.#directories.isReal(path) : true;
  }

  #settleWhiteouts(): string[] {
    const remaining: string[] = [];
    for (const path of this.#whiteouts) {
      // A later replacement may have put a link or a file on the way: then nothing of the lower layer shows anyway.
      if (!this.#directories.isReal(parentOf(path))) continue;
      const facts = lstatSync(fsPath(this.#directories.absolute(path)), { throwIfNoEntry: false });
      if (facts === undefined) {
        if (!this.#links.has(path)) remaining.push(path);
      } else if (facts.isDirectory()) this.#opaque.add(path);
    }
    // Below an opaque directory nothing is left to white out, and overlayfs would list the mark itself.
    return remaining.filter((path) => !isBelowOpaque(path, this.#opaque));
  }

  #settleDirectories(): void {
    // Later entries lie deeper as a rule; sorting by length makes it certain that no parent is closed too early.
    const deepestFirst = [...this.#directoryMetadata].sort(([a], [b]) => b.length - a.length);
    for (const [path, { mode, uid, gid, mtime, atime, modeSet }] of deepestFirst) {
      if (!this.#isDirectory(path)) continue;
      const absolute = fsPath(this.#directories.absolute(path));
      if (this.#needsOwner(uid, gid)) lchownSync(absolute, uid, gid);
      if (modeSet !== true) chmodSync(absolute, mode);
      utimesSync(absolute, atime, mtime);
    }
    if (this.#options.whiteouts !== 'remove') return;
    for (const [path, { atime, mtime }] of this.#directories.existing) {
      if (this.#directoryMetadata.has(path) || !this.#isDirectory(path)) continue;
      utimesSync(fsPath(this.#directories.absolute(path)), atime, mtime);
    }
  }

  #metadataOf(entry: TarEntry): Metadata {
    const mtime = boundedTime(entry.mtime);
    const uid = entry.uid;
    const gid = entry.gid;
    if (uid < 0 || uid > MAX_OWNER || gid < 0 || gid > MAX_OWNER) {
      throw new ArchiveError('BAD_ARCHIVE', `Cannot apply layer: owner ${uid}:${gid} is out of range`);
    }
    // Without root nobody could read, fill or remove what its own mode locks.
    const lift = this.#uid === 0 ? 0 : entry.type === 'directory' ? 0o700 : 0o400;
    return {
      mode: entry.mode | lift,
      uid,
      gid,
      mtime,
      atime: Math.max(mtime, boundedTime(entry.atime ?? 0)),
    };
  }

  #needsOwner(uid: number, gid: number): boolean {
    if (!this.#setOwners) return false;
    // A directory of a lower layer may pass its group on.
    return uid !== this.#uid || gid !== this.#gid || this.#options.whiteouts === 'remove';
  }

  #recordOwner(path: string, entry: TarEntry): void {
    if (this.#setOwners || (entry.uid === this.#uid && entry.gid === this.#gid)) return;
    this.#skipped.add('owner', path, { uid: entry.uid, gid: entry.gid, mode: entry.mode });
  }
}

function isBelowOpaque(path: string, opaque: ReadonlySet<string>): boolean {
  if (opaque.size === 0) return false;
  for (let at = parentOf(path); at !== ''; at = parentOf(at)) if (opaque.has(at)) return true;
  return opaque.has('');
}

function isAufsMeta(path: string): boolean {
  return path.split('/').some((part) => part.startsWith(AUFS_META) && part !== OPAQUE);
}

function join(parent: string, name: string): string {
  return parent === '' ? name : `${parent}/${name}`;
}

function boundedTime(seconds: number): number {
  return seconds >= 0 && seconds <= MAX_SECONDS ? seconds : 0;
}

function applyError(error: unknown, path: string): unknown {
  if (!isSystemError(error)) return error;
  const action = `Cannot make ${showPath(path)}`;
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT') {
    return new ArchiveError('NO_SPACE', `${action}: no space left on the device`, { cause: error });
  }
  return new ArchiveError('IO', `${action}: ${messageOf(error)}`, { cause: error });
}
