import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { systemClock, type Clock } from '../base/clock.ts';
import { isSystemError, messageOf } from '../base/coded-error.ts';
import { SingleFlight } from '../base/single-flight.ts';
import type { TraceStep } from '../base/trace.ts';
import { parseDockerConfigJson, parseDockercfg } from './docker-config.ts';
import { keyringEntries, type KeyringEntry } from './keyring.ts';

/** How long the node believes what it last found, files or none (rule 6.3). */
export const NODE_FILES_TTL_MS = 5 * 60_000;

/** Largest login file read; a real one has a few hundred bytes an entry. */
const MAX_FILE_BYTES = 16 << 20;

export interface NodeFilesOptions {
  /** The kubelet's root directory, the first place searched. */
  readonly rootDirectory: string;
  /** Default: the process's. */
  readonly workingDirectory?: string;
  /** Default: `$HOME`. */
  readonly home?: string;
  /** Where `/` is: another directory keeps tests and forecasts off this machine's own files. */
  readonly fileSystemRoot?: string;
  readonly clock?: Clock;
}

/** What the node's own login files give: the entries of the one file that counts, and how it was found. */
export interface NodeFilesResult {
  /** Undefined when no file is valid. */
  readonly path: string | undefined;
  readonly entries: readonly KeyringEntry[];
  readonly trace: readonly TraceStep[];
}

/** Returns the eight places in the order of rule 6.1. */
export function nodeFilePaths(options: NodeFilesOptions): { path: string; legacy: boolean }[] {
  const working = options.workingDirectory ?? process.cwd();
  const home = options.home ?? process.env['HOME'] ?? homedir();
  const root = options.fileSystemRoot ?? '/';
  return [
    ...[options.rootDirectory, working, join(home, '.docker'), join(root, '.docker')].map((directory) => ({
      path: resolve(working, directory, 'config.json'),
      legacy: false,
    })),
    ...[options.rootDirectory, working, home, root].map((directory) => ({
      path: resolve(working, directory, '.dockercfg'),
      legacy: true,
    })),
  ];
}

/** The node's login files (rules 6.1–6.3): the first valid file wins alone, and the answer holds for five minutes. */
export class NodeFiles {
  readonly #options: NodeFilesOptions;
  readonly #clock: Clock;
  readonly #flight = new SingleFlight<'read', NodeFilesResult>();
  #cached: { readonly result: NodeFilesResult; readonly until: number } | undefined;

  constructor(options: NodeFilesOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Never fails: files that are missing, unreadable or no valid login file are passed over (6.2). */
  async read(): Promise<NodeFilesResult> {
    const cached = this.#cached;
    if (cached !== undefined && this.#clock.now() < cached.until) return cached.result;
    return this.#flight.do('read', async () => {
      const result = await readNodeFiles(this.#options);
      this.#cached = { result, until: this.#clock.now() + NODE_FILES_TTL_MS };
      return result;
    });
  }
}

/** Searches the files once, without cache. */
export async function readNodeFiles(options: NodeFilesOptions): Promise<NodeFilesResult> {
  const trace: TraceStep[] = [];
  for (const { path, legacy } of nodeFilePaths(options)) {
    try {
      const bytes = await readFile(path);
      if (bytes.length > MAX_FILE_BYTES) throw new RangeError(`file has ${bytes.length} bytes`);
      const config = legacy ? parseDockercfg(bytes) : parseDockerConfigJson(bytes);
      const entries = keyringEntries(config, { kind: 'node-file', path });
      trace.push({
        rule: '6.1',
        says: `first valid login file, ${config.size} entries: no other is read`,
        source: path,
      });
      return { path, entries, trace };
    } catch (error) {
      trace.push({ rule: '6.2', says: `passed over: ${reasonOf(error)}`, source: path });
    }
  }
  return { path: undefined, entries: [], trace };
}

/** Why a file was passed over. What a parser said is collapsed, as the kubelet does (rule 6.8). */
function reasonOf(error: unknown): string {
  if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ENOTDIR')) return 'not there';
  if (isSystemError(error)) return `cannot be read (${error.code ?? 'unknown'})`;
  if (error instanceof RangeError) return messageOf(error);
  return 'error occurred while trying to unmarshal json';
}
