import { open, readFile, realpath, rm, mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { Document, isMap, isSeq, parseDocument, type YAMLMap, type YAMLSeq } from 'yaml';
import { writeFileAtomic } from '../../base/atomic-file.ts';
import { CodedError, isSystemError } from '../../base/coded-error.ts';
import type { Clock } from '../../base/clock.ts';

export type MergeErrorCode = 'MALFORMED' | 'LOCKED' | 'ABSENT';

/** Why a kubeconfig was left as it is. */
export class MergeError extends CodedError<MergeErrorCode> {}

/** One cluster, user and context of the same name, as they stand in a kubeconfig. */
export interface KubeconfigEntry {
  readonly name: string;
  readonly cluster: Readonly<Record<string, string>>;
  readonly user: Readonly<Record<string, string>>;
}

const LISTS = { clusters: 'cluster', users: 'user', contexts: 'context' } as const;
/** kubectl holds the lock for the time of one write; one that stays longer was left behind. */
const LOCK_TRIES = 20;
const LOCK_PAUSE_MS = 100;

/** Returns the file that kubectl itself would write to: of `$KUBECONFIG` the first that is there, else `~/.kube/config`. */
export async function usualKubeconfig(environment: NodeJS.ProcessEnv): Promise<string> {
  const listed = (environment['KUBECONFIG'] ?? '').split(delimiter).filter((path) => path !== '');
  for (const path of listed) if ((await readIfThere(path)) !== undefined) return path;
  return listed.at(-1) ?? join(environment['HOME'] ?? homedir(), '.kube', 'config');
}

/**
 * Puts an entry into the text of a kubeconfig, in the place of one with the same name; everything else stays, comments
 * included. The context becomes the current one when `use` says so or when there is none.
 *
 * @throws MergeError `MALFORMED`
 */
export function mergeEntry(text: string | undefined, entry: KubeconfigEntry, use: boolean): string {
  const document = parseConfig(text);
  const { name } = entry;
  put(document, 'clusters', name, entry.cluster);
  put(document, 'users', name, entry.user);
  put(document, 'contexts', name, { ...keptOfContext(document, name), cluster: name, user: name });
  const current = document.get('current-context');
  if (use || current === undefined || current === null || current === '')
    document.set('current-context', name);
  return document.toString({ lineWidth: 0 });
}

/** Tells where the cluster of that name is in the text of a kubeconfig; `undefined` when it has none. */
export function serverOfEntry(text: string | undefined, name: string): string | undefined {
  const clusters = parseConfig(text).get('clusters');
  const found = isSeq(clusters) ? clusters.items.find((item) => isNamed(item, name)) : undefined;
  const server: unknown = isMap(found) ? found.getIn(['cluster', 'server']) : undefined;
  return typeof server === 'string' ? server : undefined;
}

/**
 * Takes the entry of that name out again; a current context that named it is cleared.
 *
 * @throws MergeError `MALFORMED`, `ABSENT` when nothing has the name
 */
export function removeEntry(text: string, name: string): string {
  const document = parseConfig(text);
  const isThere = Object.keys(LISTS).some((list) => {
    const items = document.get(list);
    return isSeq(items) && items.items.some((item) => isNamed(item, name));
  });
  if (!isThere) throw new MergeError('ABSENT', `Cannot remove "${name}": the kubeconfig has no such entry`);
  for (const list of Object.keys(LISTS)) {
    const items = document.get(list);
    if (isSeq(items)) items.items = items.items.filter((item) => !isNamed(item, name));
  }
  if (document.get('current-context') === name) document.set('current-context', '');
  return document.toString({ lineWidth: 0 });
}

/**
 * Changes a kubeconfig under the lock that kubectl takes too, atomically, readable by its owner only. A link is followed.
 *
 * @throws MergeError `LOCKED` when another program does not let go
 */
export async function changeKubeconfig(
  path: string,
  change: (text: string | undefined) => string,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const target = await targetOf(path);
  const lock = `${path}.lock`;
  await takeLock(lock, clock, signal);
  try {
    await writeFileAtomic(target, change(await readIfThere(target)), { mode: 0o600 });
  } finally {
    await rm(lock, { force: true });
  }
}

async function takeLock(path: string, clock: Clock, signal: AbortSignal): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await (await open(path, 'wx')).close();
      return;
    } catch (error) {
      if (!isSystemError(error, 'EEXIST')) throw error;
      if (attempt === LOCK_TRIES) {
        throw new MergeError(
          'LOCKED',
          `Cannot change the kubeconfig: "${path}" is there; remove it when no kubectl is writing`,
          { cause: error },
        );
      }
    }
    await clock.sleep(LOCK_PAUSE_MS, signal);
  }
}

function parseConfig(text: string | undefined): Document {
  if (text === undefined || text.trim() === '') {
    return new Document({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [],
      users: [],
      contexts: [],
      preferences: {},
    });
  }
  const document = parseDocument(text);
  const [problem] = document.errors;
  if (problem !== undefined)
    throw new MergeError('MALFORMED', `Cannot merge into the kubeconfig: ${problem.message}`);
  if (!isMap(document.contents))
    throw new MergeError('MALFORMED', 'Cannot merge into the kubeconfig: it is no mapping');
  return document;
}

function isNamed(item: unknown, name: string): boolean {
  return isMap(item) && item.get('name') === name;
}

/** What people set in a context themselves: the namespace, extensions of their tools. */
function keptOfContext(document: Document, name: string): Record<string, unknown> {
  const contexts = document.get('contexts');
  const found = isSeq(contexts) ? contexts.items.find((item) => isNamed(item, name)) : undefined;
  const context: unknown = isMap(found) ? found.get('context') : undefined;
  return isMap(context) ? (context.toJS(document) as Record<string, unknown>) : {};
}

function put(
  document: Document,
  list: keyof typeof LISTS,
  name: string,
  value: Readonly<Record<string, unknown>>,
): void {
  const found = document.get(list);
  if (found !== undefined && found !== null && !isSeq(found)) {
    throw new MergeError('MALFORMED', `Cannot merge into the kubeconfig: "${list}" is no list`);
  }
  const items: YAMLSeq = isSeq(found) ? found : document.createNode([]);
  // An empty list is often written as `[]`; what is put into it should stand on lines of its own.
  items.flow = false;
  if (items !== found) document.set(list, items);
  const node = document.createNode({ [LISTS[list]]: value, name }) as YAMLMap;
  const at = items.items.findIndex((item) => isNamed(item, name));
  if (at === -1) items.items.push(node);
  else items.items[at] = node;
}

async function targetOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return path;
    throw error;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}
