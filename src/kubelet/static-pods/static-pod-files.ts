import { watch, type FSWatcher } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { isSystemError, messageOf } from '../../base/coded-error.ts';
import type { Pod } from '../../kube/pod.ts';
import type { Logger } from '../../observe/logger.ts';
import { fullName } from './static-pod-marks.ts';

/** Time between two looks at the files when nothing tells of a change; the kubelet's `fileCheckFrequency`. */
export const FILE_CHECK_MS = 20_000;
/** Changes come in bursts: an editor writes, renames and removes. */
const SETTLE_MS = 100;
/** Largest file that is read: a Pod is a page of text. */
const MAX_FILE_BYTES = 10 * 1024 * 1024;

export interface StaticPodFilesOptions {
  /** A directory of files, or one file. */
  readonly path: string;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface ReadFile {
  readonly text: string;
  readonly pod: Pod;
}

/** Reads the static Pods of a directory or a file, and reads them again when something changes there. */
export class StaticPodFiles {
  readonly #options: StaticPodFilesOptions;
  readonly #told = new Map<string, string>();
  #known: ReadonlyMap<string, ReadFile> = new Map();

  constructor(options: StaticPodFilesOptions) {
    this.#options = options;
  }

  /** Returns the Pods that stand there now; what cannot be used is logged and left out. Nothing there is no Pod. */
  async read(): Promise<readonly Pod[]> {
    const { logger } = this.#options;
    const pods = new Map<string, Pod>();
    const known = new Map<string, ReadFile>();
    for (const file of await this.#files()) {
      try {
        const entry = await this.#readOne(file);
        if (entry === undefined) continue;
        known.set(file, entry);
        const name = fullName(entry.pod);
        if (pods.has(name))
          this.#tellOnce(file, `Cannot use ${JSON.stringify(file)}: there is a Pod ${name} already`);
        else {
          pods.set(name, entry.pod);
          this.#told.delete(file);
        }
      } catch (error) {
        this.#tellOnce(file, messageOf(error));
      }
    }
    this.#known = known;
    logger.debug({ path: this.#options.path, pods: pods.size }, 'read static Pods');
    return [...pods.values()];
  }

  /** Calls `changed` with the Pods whenever they may have changed, until the signal aborts. */
  async run(changed: (pods: readonly Pod[]) => void, signal: AbortSignal): Promise<void> {
    const { clock, path } = this.#options;
    while (!signal.aborted) {
      const waking = new AbortController();
      const watcher = watchPath(path, () => waking.abort());
      // Being woken is one of two usual ends of this wait.
      await clock.sleep(FILE_CHECK_MS, AbortSignal.any([signal, waking.signal])).catch(() => undefined);
      watcher?.close();
      if (waking.signal.aborted) await clock.sleep(SETTLE_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      changed(await this.read());
    }
  }

  /** A file that has not changed keeps its Pod: when it was first seen must not move. */
  async #readOne(file: string): Promise<ReadFile | undefined> {
    const facts = await stat(file);
    if (!facts.isFile()) return undefined;
    if (facts.size > MAX_FILE_BYTES) throw new Error(`Cannot use ${JSON.stringify(file)}: it is too large`);
    const text = await readFile(file, 'utf8');
    const known = this.#known.get(file);
    if (known?.text === text) return known;
    // Reading a Pod needs the whole schema, which a node without static Pods never loads.
    const { staticPodOf } = await import('./static-pod.ts');
    const { nodeName, clock } = this.#options;
    return { text, pod: staticPodOf(text, { nodeName, file, now: clock.now() }) };
  }

  async #files(): Promise<string[]> {
    const { path } = this.#options;
    try {
      if (!(await stat(path)).isDirectory()) return [path];
      const names = await readdir(path);
      return names
        .filter((name) => !name.startsWith('.'))
        .toSorted()
        .map((name) => join(path, name));
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return [];
      this.#tellOnce(path, messageOf(error));
      return [];
    }
  }

  /** The same complaint every twenty seconds would hide all others. */
  #tellOnce(file: string, message: string): void {
    if (this.#told.get(file) === message) return;
    this.#told.set(file, message);
    this.#options.logger.error({ file, error: message }, 'cannot use a static Pod');
  }
}

/** Watches as far as the system can: a path that is not there is looked at again later. */
function watchPath(path: string, changed: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(path, { persistent: false }, changed);
    watcher.on('error', changed);
    return watcher;
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}
