import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { bytePath, fsPath, parentOf } from './_byte-path.ts';
import type { UnpackedLayer } from './apply-options.ts';

/** Most links followed while one path is resolved: the limit of Linux. */
const MAX_LINKS = 40;

export interface Found {
  /** Byte path within the layers. */
  readonly path: string;
  /** Absolute byte path. */
  readonly absolute: string;
  readonly facts: Stats;
  /** The layer it was found in. */
  readonly layer: UnpackedLayer;
}

/** Looks into a stack of layers as a mounted overlay would show it, without mounting it. */
export class LayeredView {
  readonly #layers: readonly {
    readonly layer: UnpackedLayer;
    readonly root: string;
    readonly whiteouts: ReadonlySet<string>;
    readonly opaque: ReadonlySet<string>;
  }[];

  /** @param layers topmost first */
  constructor(layers: readonly UnpackedLayer[]) {
    this.#layers = layers.map((layer) => ({
      layer,
      root: bytePath(layer.directory),
      whiteouts: new Set(layer.whiteouts),
      opaque: new Set(layer.opaque),
    }));
  }

  /** Finds what is at `path`, following no link; undefined also when a parent is no directory. */
  lookup(path: string): Found | undefined {
    const parts = path === '' ? [] : path.split('/');
    layers: for (const { layer, root, whiteouts, opaque } of this.#layers) {
      let hidesLower = opaque.has('');
      let prefix = '';
      let facts: Stats | undefined = lstatSync(fsPath(root));
      for (const part of parts) {
        if (!facts.isDirectory()) return undefined;
        prefix = prefix === '' ? part : `${prefix}/${part}`;
        if (whiteouts.has(prefix)) return undefined;
        facts = lstatSync(fsPath(`${root}/${prefix}`), { throwIfNoEntry: false });
        if (facts === undefined) {
          if (hidesLower) return undefined;
          continue layers;
        }
        hidesLower ||= opaque.has(prefix);
      }
      return { path, absolute: path === '' ? root : `${root}/${path}`, facts, layer };
    }
    return undefined;
  }

  /** Finds what is at `path` with links among its parents followed within the view; the last component is not followed. */
  find(path: string): Found | undefined {
    const parent = this.#follow(parentOf(path), MAX_LINKS);
    if (parent === undefined) return undefined;
    const name = path.slice(path.lastIndexOf('/') + 1);
    return this.lookup(parent === '' ? name : `${parent}/${name}`);
  }

  /**
   * Returns the path that `path` leads to, all links followed, of a directory that is there or that could be made; undefined
   * when something else is in the way.
   */
  destination(path: string): string | undefined {
    return this.#follow(path, MAX_LINKS, true);
  }

  #follow(path: string, links: number, mayLack = false): string | undefined {
    let rest = path.split('/');
    let real = '';
    let left = links;
    while (rest.length > 0) {
      const name = rest.shift() ?? '';
      if (name === '' || name === '.') continue;
      if (name === '..') {
        real = parentOf(real);
        continue;
      }
      const next = real === '' ? name : `${real}/${name}`;
      const found = this.lookup(next);
      if (found === undefined) {
        if (!mayLack) return undefined;
        real = next;
      } else if (found.facts.isDirectory()) real = next;
      else if (found.facts.isSymbolicLink() && left-- > 0) {
        const target = readlinkSync(fsPath(found.absolute), { encoding: 'latin1' });
        if (target.startsWith('/')) real = '';
        rest = [...target.split('/'), ...rest];
      } else return undefined;
    }
    return real;
  }
}
