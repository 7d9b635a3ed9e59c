import { lstat, readlink, readFile } from 'node:fs/promises';
import { isSystemError } from '../base/coded-error.ts';
import { RuntimeError } from './runtime-error.ts';

/** Symbolic links followed before a path counts as a loop: the kernel's own limit. */
const MAX_LINKS = 40;

export type EntryKind = 'file' | 'directory' | 'other';

export interface RootedEntry {
  /** Path inside the root, absolute, without links or dots. */
  readonly path: string;
  /** Path on the machine; where it would be made when `kind` is undefined. */
  readonly hostPath: string;
  /** Undefined when nothing is there. */
  readonly kind: EntryKind | undefined;
  readonly mode: number;
}

interface LayerEntry {
  readonly hostPath: string;
  readonly kind: EntryKind;
  readonly mode: number;
  readonly link?: string;
}

/**
 * Looks at paths as a process inside a root file system would see them: links never lead out of it.
 * `layers` are the directories that make up the root, topmost first; one for a plain directory.
 */
export class RootedTree {
  readonly #layers: readonly string[];

  constructor(layers: readonly string[]) {
    this.#layers = layers;
  }

  /**
   * Resolves every link in `path`. Parts that do not exist are kept as they are.
   *
   * @throws RuntimeError `INVALID` when links form a loop
   */
  async resolve(path: string): Promise<RootedEntry> {
    const pending = path.split('/').reverse();
    const done: string[] = [];
    let links = 0;
    let found: LayerEntry | undefined;
    let exists = true;
    while (pending.length > 0) {
      const name = pending.pop();
      if (name === undefined || name === '' || name === '.') continue;
      if (name === '..') {
        done.pop();
        found = undefined;
        exists = true;
        continue;
      }
      done.push(name);
      if (!exists) continue;
      found = await this.#entry(`/${done.join('/')}`);
      if (found === undefined) {
        exists = false;
        continue;
      }
      if (found.link === undefined) continue;
      if (++links > MAX_LINKS) {
        throw new RuntimeError('INVALID', `Cannot follow "${path}": too many levels of symbolic links`);
      }
      done.pop();
      if (found.link.startsWith('/')) done.length = 0;
      pending.push(...found.link.split('/').reverse());
      found = undefined;
    }
    const inside = `/${done.join('/')}`;
    if (exists) found = await this.#entry(inside);
    return {
      path: inside,
      hostPath: found?.hostPath ?? `${this.#layers[0] ?? ''}${inside}`,
      kind: found?.kind,
      mode: found?.mode ?? 0,
    };
  }

  /** Reads a whole text file below the root; undefined when there is none. Meant for small files such as `/etc/passwd`. */
  async readText(path: string, maxBytes: number): Promise<string | undefined> {
    const entry = await this.resolve(path);
    if (entry.kind !== 'file') return undefined;
    const info = await lstat(entry.hostPath);
    if (info.size > maxBytes) {
      throw new RuntimeError('INVALID', `Cannot read "${path}": ${info.size} bytes, at most ${maxBytes}`);
    }
    return await readFile(entry.hostPath, 'utf8');
  }

  async #entry(path: string): Promise<LayerEntry | undefined> {
    for (const layer of this.#layers) {
      const hostPath = `${layer}${path}`;
      try {
        const info = await lstat(hostPath);
        // A character device 0/0 is overlayfs's whiteout: lower layers do not shine through.
        if (info.isCharacterDevice() && info.rdev === 0) return undefined;
        if (info.isSymbolicLink()) {
          return { hostPath, kind: 'other', mode: info.mode, link: await readlink(hostPath) };
        }
        const kind = info.isDirectory() ? 'directory' : info.isFile() ? 'file' : 'other';
        return { hostPath, kind, mode: info.mode };
      } catch (error) {
        if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ENOTDIR')) continue;
        throw error;
      }
    }
    return undefined;
  }
}
