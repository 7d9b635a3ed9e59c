import { linkSync, lstatSync, mkdirSync, renameSync, rmdirSync, unlinkSync, type Stats } from 'node:fs';
import { baseOf, bytePath, fsPath, parentOf, showPath } from './_byte-path.ts';
import { copyEntry, copyMetadata } from './_copy-entry.ts';
import { LayeredView, type Found } from './_layered-view.ts';
import { setXattrs, type XattrRequest } from './_special-files.ts';
import { listNames, removeTree } from './_tree.ts';
import type { LayerXattr, UnpackedLayer } from './apply-options.ts';
import { ArchiveError } from './archive-error.ts';

/*
 * A layer is unpacked by itself, once, wherever it is used. Three things that a layer may leave to the layers below it cannot
 * be known then: the target of a hard link that is not in it; what a directory is like that it only implies (`a/b` without an
 * entry for `a`): below, that may be a directory of another owner or mode, or a link to another place; and whether there is
 * anything to white out: overlayfs lists the mark itself in a directory that has none below it. For a stack where
 * that matters the layer gets a variant: a clone by hard links, which only lower layers of overlays ever are, with those things
 * put right. Runtimes that unpack onto a mounted stack get the same result; most layers never need it.
 */

export interface SettleRequest {
  readonly layer: UnpackedLayer;
  readonly impliedDirectories: readonly string[];
  readonly pendingLinks: readonly { readonly path: string; readonly target: string }[];
  /** What lies below, topmost first. */
  readonly lower: readonly UnpackedLayer[];
  /** Directory for the variant; it must not exist and is made only when it is needed. */
  readonly target: string;
  /** How opaque directories are marked; absent when the layer is not for overlayfs. */
  readonly opaqueXattr?: string;
}

/** The variant, or undefined when the layer can be used as it is. @throws ArchiveError `BAD_ARCHIVE`, `IO` */
export function settleLayer(request: SettleRequest): UnpackedLayer | undefined {
  const below = new LayeredView(request.lower);
  const plan = planOf(request, below);
  if (plan.length === 0 && request.pendingLinks.length === 0) return undefined;
  return new Settler(request, below).run(plan);
}

type Step =
  | { readonly kind: 'adopt'; readonly path: string; readonly from: Found }
  | { readonly kind: 'move'; readonly path: string; readonly to: string }
  | { readonly kind: 'drop'; readonly path: string };

function planOf(request: SettleRequest, below: LayeredView): Step[] {
  const own = bytePath(request.layer.directory);
  const opaque = new Set(request.layer.opaque);
  const steps: Step[] = [];
  for (const path of request.impliedDirectories.toSorted((a, b) => a.length - b.length)) {
    if (isHidden(path, opaque) || steps.some((step) => step.kind === 'move' && isBelow(path, step.path)))
      continue;
    const found = below.lookup(path);
    if (found === undefined) continue;
    if (found.facts.isDirectory()) {
      if (!sameKind(lstatSync(fsPath(`${own}/${path}`)), found.facts))
        steps.push({ kind: 'adopt', path, from: found });
    } else if (found.facts.isSymbolicLink()) {
      const to = below.destination(path);
      if (to !== undefined && to !== path) steps.push({ kind: 'move', path, to });
    }
  }
  const merged = new Map<string, boolean>();
  for (const path of request.layer.whiteouts) {
    const parent = parentOf(path);
    const isMerged = merged.get(parent) ?? below.lookup(parent)?.facts.isDirectory() === true;
    merged.set(parent, isMerged);
    const isMoved = steps.some((step) => step.kind === 'move' && isBelow(path, step.path));
    if (!isMerged && !isMoved) steps.push({ kind: 'drop', path });
  }
  return steps;
}

function sameKind(a: Stats, b: Stats): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid;
}

/** Tells whether the layer hides everything below at `path`, so that there is nothing to take from there. */
function isHidden(path: string, opaque: ReadonlySet<string>): boolean {
  if (opaque.has('')) return true;
  for (let at = parentOf(path); at !== ''; at = parentOf(at)) if (opaque.has(at)) return true;
  return false;
}

function isBelow(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

class Settler {
  readonly #request: SettleRequest;
  readonly #below: LayeredView;
  readonly #root: string;
  readonly #dropped = new Set<string>();
  readonly #touched = new Map<string, Stats>();
  /** Copies of files of lower layers, by where those lie. */
  readonly #copies = new Map<string, string>();
  readonly #moves: { readonly from: string; readonly to: string }[] = [];

  constructor(request: SettleRequest, below: LayeredView) {
    this.#request = request;
    this.#below = below;
    this.#root = bytePath(request.target);
  }

  run(plan: readonly Step[]): UnpackedLayer {
    const { layer } = this.#request;
    cloneTree(bytePath(layer.directory), this.#root);
    for (const step of plan) {
      if (step.kind === 'adopt') copyMetadata(this.#absolute(step.path), step.from.facts);
      else if (step.kind === 'move') this.#move(step.path, step.to);
      else this.#drop(step.path);
    }
    const copied: LayerXattr[] = [];
    for (const { path, target } of this.#request.pendingLinks) {
      this.#touch(parentOf(this.#moved(path)));
      this.#touch(parentOf(target));
    }
    for (const link of this.#request.pendingLinks) this.#link(link.path, link.target, copied);
    const variant: UnpackedLayer = {
      directory: this.#request.target,
      whiteouts: layer.whiteouts.filter((path) => !this.#dropped.has(path)).map((path) => this.#moved(path)),
      opaque: layer.opaque.map((path) => this.#moved(path)),
      xattrs: [...layer.xattrs.map((xattr) => ({ ...xattr, path: this.#moved(xattr.path) })), ...copied],
      rootDeclared: layer.rootDeclared,
    };
    this.#setXattrs(variant, copied);
    for (const [path, facts] of this.#touched) copyMetadata(this.#absolute(path), facts);
    return variant;
  }

  /** Notes what a directory is like before something is put into it: its times are the layer's, not those of this work. */
  #touch(path: string): void {
    if (this.#touched.has(path)) return;
    const facts = lstatSync(fsPath(this.#absolute(path)), { throwIfNoEntry: false });
    if (facts?.isDirectory() === true) this.#touched.set(path, facts);
  }

  #absolute(path: string): string {
    return path === '' ? this.#root : `${this.#root}/${path}`;
  }

  #exists(path: string): boolean {
    return lstatSync(fsPath(this.#absolute(path)), { throwIfNoEntry: false }) !== undefined;
  }

  #moved(path: string): string {
    let result = path;
    for (const { from, to } of this.#moves) {
      if (isBelow(result, from))
        result = to === '' ? result.slice(from.length + 1) : to + result.slice(from.length);
    }
    return result;
  }

  /** Removes a whiteout where it is on disk; its directory is real, or it would not be in the list. */
  #drop(path: string): void {
    this.#dropped.add(path);
    if (!this.#exists(path)) return;
    this.#touch(parentOf(path));
    unlinkSync(fsPath(this.#absolute(path)));
  }

  /** Moves what the layer put behind a link of a lower layer to where that link leads. */
  #move(from: string, to: string): void {
    if (!this.#makeDirectories(to)) return;
    this.#touch(to);
    moveMerged(this.#absolute(from), this.#absolute(to));
    this.#moves.push({ from, to });
  }

  /**
   * Makes the directories that lower layers have on the way to `path`. Returns false when the layer itself has something else
   * there: a link of its own may lead anywhere, and nothing is ever made behind it.
   */
  #makeDirectories(path: string): boolean {
    if (path === '') return true;
    if (!this.#makeDirectories(parentOf(path))) return false;
    const existing = lstatSync(fsPath(this.#absolute(path)), { throwIfNoEntry: false });
    if (existing !== undefined) return existing.isDirectory();
    this.#touch(parentOf(path));
    mkdirSync(fsPath(this.#absolute(path)));
    const found = this.#below.lookup(path);
    if (found !== undefined) copyMetadata(this.#absolute(path), found.facts);
    return true;
  }

  #link(originalPath: string, target: string, copied: LayerXattr[]): void {
    const path = this.#moved(originalPath);
    // The layer may have put something else where the directory was.
    if (!this.#makeDirectories(parentOf(path)) || this.#exists(path)) return;
    // Not the layer's own: what it has under that name, a file or the mark of a whiteout, came after the link.
    const found = this.#below.find(target);
    if (found === undefined || found.facts.isDirectory()) {
      throw new ArchiveError(
        'BAD_ARCHIVE',
        `Cannot link ${showPath(path)} to ${showPath(target)}: it does not exist`,
      );
    }
    const copy = this.#copies.get(found.absolute);
    if (copy !== undefined) {
      linkSync(fsPath(copy), fsPath(this.#absolute(path)));
      return;
    }
    copyEntry(found.absolute, this.#absolute(path), found.facts);
    this.#copies.set(found.absolute, this.#absolute(path));
    for (const xattr of found.layer.xattrs) if (xattr.path === found.path) copied.push({ ...xattr, path });
    // Its other name shows the lower file still; as a link both names are one file, so the copy takes its place too.
    if (found.path !== path && this.#makeDirectories(parentOf(found.path)) && !this.#exists(found.path)) {
      this.#touch(parentOf(found.path));
      linkSync(fsPath(this.#absolute(path)), fsPath(this.#absolute(found.path)));
    }
  }

  /** Files share their attributes through the hard links; directories were made anew. */
  #setXattrs(variant: UnpackedLayer, copied: readonly LayerXattr[]): void {
    const requests: XattrRequest[] = [];
    const isDirectory = (path: string): boolean =>
      lstatSync(fsPath(this.#absolute(path)), { throwIfNoEntry: false })?.isDirectory() === true;
    for (const { path, name, valueBase64 } of variant.xattrs) {
      if (copied.some((xattr) => xattr.path === path) || isDirectory(path)) {
        requests.push({ path: this.#absolute(path), name, value: Buffer.from(valueBase64, 'base64') });
      }
    }
    const { opaqueXattr } = this.#request;
    if (opaqueXattr !== undefined) {
      for (const path of variant.opaque)
        requests.push({ path: this.#absolute(path), name: opaqueXattr, value: Buffer.from('y') });
    }
    const complaint = setXattrs(requests);
    if (complaint !== undefined) throw new ArchiveError('IO', `Cannot set extended attributes: ${complaint}`);
  }
}

/** Clones a tree: directories anew, everything else by hard links. */
function cloneTree(from: string, to: string): void {
  mkdirSync(fsPath(to));
  for (const name of listNames(from)) {
    const source = `${from}/${name}`;
    if (lstatSync(fsPath(source)).isDirectory()) cloneTree(source, `${to}/${name}`);
    else linkSync(fsPath(source), fsPath(`${to}/${name}`));
  }
  copyMetadata(to, lstatSync(fsPath(from)));
}

function moveMerged(from: string, to: string): void {
  const existing = lstatSync(fsPath(to), { throwIfNoEntry: false });
  if (existing?.isDirectory() === true && lstatSync(fsPath(from)).isDirectory()) {
    for (const name of listNames(from)) moveMerged(`${from}/${name}`, `${to}/${baseOf(name)}`);
    rmdirSync(fsPath(from));
    return;
  }
  if (existing !== undefined) removeTree(to);
  renameSync(fsPath(from), fsPath(to));
}
