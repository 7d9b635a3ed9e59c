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
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { isSystemError, messageOf } from '../base/coded-error.ts';
import { isAufsLinkSource, removeAufsLinkSources } from './_aufs-links.ts';
import { bytePath, cleanPath, fsPath, parentOf, showPath } from './_byte-path.ts';
import { Directories } from './_directories.ts';
import { EntryMetadata, type Metadata } from './_entry-metadata.ts';
import { KeptWhiteouts, meaningOf, RemovingWhiteouts, type Whiteouts } from './_whiteouts.ts';
import { SpecialFiles } from './_pending-special.ts';
import { removeTree } from './_tree.ts';
import { Skipped } from './_skipped.ts';
import { MAX_ENTRIES, MAX_PATH_BYTES, type ApplyOptions, type ApplyReport } from './apply-options.ts';
import { ArchiveError } from './archive-error.ts';
import { markOverlay } from './overlay-marks.ts';
import type { TarEntry } from './tar-entry.ts';
import type { TarHandler } from './tar-parser.ts';

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
interface DirectoryMetadata extends Metadata {
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
  readonly #metadata: EntryMetadata;
  readonly #whiteouts: Whiteouts;
  readonly #maxEntries: number;
  /** Whether the directory holds the lower layers as well. */
  readonly #removes: boolean;
  /** What directories are to be like in the end: work in them would change their times. */
  readonly #directoryMetadata = new Map<string, DirectoryMetadata>();
  /** Hard links whose target is not in this layer. */
  readonly #links = new Map<string, string>();
  #entries = 0;
  #bytes = 0;
  #fd: number | undefined;
  #file: TarEntry | undefined;

  constructor(root: string, options: ApplyOptions) {
    this.#options = options;
    this.#directories = new Directories(bytePath(root));
    this.#skipped = new Skipped(options.recordPath);
    this.#special = new SpecialFiles(this.#skipped);
    this.#removes = options.whiteouts === 'remove';
    this.#metadata = new EntryMetadata(options.owners, this.#removes);
    this.#whiteouts =
      options.whiteouts === 'overlay'
        ? new KeptWhiteouts(this.#directories)
        : new RemovingWhiteouts(this.#directories, () => this.#special.flush());
    this.#maxEntries = options.maxEntries ?? MAX_ENTRIES;
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
      const metadata = this.#metadata.of(file);
      const { mode, uid, gid, mtime, atime } = metadata;
      if (this.#metadata.needsOwner(metadata)) fchownSync(fd, uid, gid);
      if (this.#metadata.needsMode(mode)) fchmodSync(fd, mode);
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
      removeAufsLinkSources(this.#directories);
      const { whiteouts, opaque, replacing } = this.#whiteouts.settle((path) => this.#links.has(path));
      const { overlay } = this.#options;
      // Before the directories get their times: a whiteout changes those of the directory that it lies in.
      const overlayReady =
        overlay !== undefined && markOverlay(this.#directories.absolute(''), { whiteouts, opaque }, overlay);
      const implied = [...this.#directories.implied].filter(
        (path) =>
          !this.#directoryMetadata.has(path) && !replacing.has(path) && this.#directories.isStillReal(path),
      );
      const xattrs = this.#special.settleXattrs((path) => this.#directories.isReal(parentOf(path)));
      this.#settleDirectories();
      return {
        entries: this.#entries,
        bytes: this.#bytes,
        rootDeclared: this.#directoryMetadata.has(''),
        impliedDirectories: implied,
        // What replaced the directory of one may be a link that leads anywhere.
        pendingLinks: [...this.#links]
          .filter(([path]) => this.#directories.isStillReal(parentOf(path)))
          .map(([path, target]) => ({ path, target })),
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
      this.#directoryMetadata.set('', this.#metadata.of(entry));
      return;
    }
    const meaning = meaningOf(path);
    if (meaning.kind === 'whiteout') this.#whiteouts.whiteout(meaning.of);
    else if (meaning.kind === 'opaque') this.#whiteouts.opaque(meaning.directory);
    else if (meaning.kind === 'entry' || isAufsLinkSource(path, entry))
      this.#make(this.#directories.place(path), entry);
  }

  #make(real: string, entry: TarEntry): void {
    this.#whiteouts.made(real);
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
    if (entry.type === 'link') return;
    if (entry.xattrs.size === 0) this.#special.forget(real);
    else this.#special.setXattrs(real, this.#directories.absolute(real), entry.xattrs);
  }

  #openFile(path: string, entry: TarEntry): void {
    const { mode } = this.#metadata.of(entry);
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
    const metadata = this.#metadata.of(entry);
    // Its owner has to be able to fill it; what its own mode takes away is taken in the end.
    const mode = (metadata.mode & 0o777) | 0o700;
    let modeSet = false;
    if (!this.#directories.has(path)) {
      try {
        mkdirSync(absolute, { mode });
        // Below a set-group-ID directory of a lower layer it has that bit too.
        modeSet = !this.#removes && (mode & ~this.#metadata.umask) === metadata.mode;
      } catch (error) {
        if (!isSystemError(error, 'EEXIST')) throw error;
        if (lstatSync(absolute).isDirectory()) {
          // Whoever made it may have made it unwritable to all but root.
          if (this.#metadata.uid !== 0) chmodSync(absolute, 0o700);
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
    const metadata = this.#metadata.of(entry);
    const { uid, gid, mtime, atime } = metadata;
    if (this.#metadata.needsOwner(metadata)) lchownSync(absolute, uid, gid);
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
    if (type !== 'fifo' && this.#metadata.uid !== 0) {
      this.#skipped.add('device', path, {
        type,
        major: entry.devMajor,
        minor: entry.devMinor,
        mode: entry.mode,
      });
      return;
    }
    const absolute = this.#directories.absolute(path);
    const metadata = this.#metadata.of(entry);
    const { mode, uid, gid, mtime, atime } = metadata;
    this.#special.makeNode(
      path,
      { path: absolute, type, major: entry.devMajor, minor: entry.devMinor },
      () => {
        if (this.#metadata.needsOwner(metadata)) lchownSync(fsPath(absolute), uid, gid);
        chmodSync(fsPath(absolute), mode);
        utimesSync(fsPath(absolute), atime, mtime);
      },
    );
    this.#recordOwner(path, entry);
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
      this.#directories.forget();
    } else {
      unlinkSync(fsPath(absolute));
    }
  }

  #settleDirectories(): void {
    // Later entries lie deeper as a rule; sorting by length makes it certain that no parent is closed too early.
    const deepestFirst = [...this.#directoryMetadata].sort(([a], [b]) => b.length - a.length);
    for (const [path, metadata] of deepestFirst) {
      if (!this.#directories.isStillReal(path)) continue;
      const { mode, uid, gid, mtime, atime, modeSet } = metadata;
      const absolute = fsPath(this.#directories.absolute(path));
      if (this.#metadata.needsOwner(metadata)) lchownSync(absolute, uid, gid);
      if (modeSet !== true) chmodSync(absolute, mode);
      utimesSync(absolute, atime, mtime);
    }
    if (!this.#removes) return;
    for (const [path, { atime, mtime }] of this.#directories.existing) {
      if (this.#directoryMetadata.has(path) || !this.#directories.isStillReal(path)) continue;
      utimesSync(fsPath(this.#directories.absolute(path)), atime, mtime);
    }
  }

  #recordOwner(path: string, entry: TarEntry): void {
    if (this.#metadata.setsOwners || !this.#metadata.isForeign(entry)) return;
    this.#skipped.add('owner', path, { uid: entry.uid, gid: entry.gid, mode: entry.mode });
  }
}

function applyError(error: unknown, path: string): unknown {
  if (!isSystemError(error)) return error;
  const action = `Cannot make ${showPath(path)}`;
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT') {
    return new ArchiveError('NO_SPACE', `${action}: no space left on the device`, { cause: error });
  }
  return new ArchiveError('IO', `${action}: ${messageOf(error)}`, { cause: error });
}
