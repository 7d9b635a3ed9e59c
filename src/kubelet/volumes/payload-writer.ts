import { randomBytes } from 'node:crypto';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { isSystemError } from '../../base/coded-error.ts';

/** One file of a volume. `path` is relative, without `..`. */
export interface PayloadFile {
  readonly path: string;
  readonly data: Buffer;
  readonly mode: number;
}

/**
 * Writes a set of files so that a container sees the old set or the new one, never a mixture: the files lie in a
 * directory of their own, `..data` points at it and is moved in one step, and the names in the volume are links through `..data`.
 * Returns false when nothing changed. The layout is the one that programs in containers know from Kubernetes.
 */
export async function writePayload(directory: string, files: readonly PayloadFile[]): Promise<boolean> {
  for (const file of files) {
    const path = normalize(file.path);
    if (path.startsWith('/') || path.split('/').includes('..') || path.startsWith('..')) {
      throw new Error(`invalid path: ${file.path}`);
    }
  }
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const data = join(directory, '..data');
  const current = await readLinkOf(data);
  if (current !== undefined && (await isSame(join(directory, current), files))) return false;

  const fresh = await mkdtemp(join(directory, `..${stamp()}.`));
  await chmod(fresh, 0o755);
  for (const file of files) {
    const path = join(fresh, file.path);
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    await writeFile(path, file.data, { mode: file.mode });
    await chmod(path, file.mode);
  }
  const temporary = join(directory, `..data_tmp${randomBytes(4).toString('hex')}`);
  await symlink(fresh.slice(directory.length + 1), temporary);
  await rename(temporary, data);

  const wanted = new Set(files.map((file) => topName(file.path)));
  for (const name of wanted) {
    if ((await readLinkOf(join(directory, name))) === undefined) {
      await symlink(join('..data', name), join(directory, name));
    }
  }
  for (const name of await readdir(directory)) {
    if (name.startsWith('..') || wanted.has(name)) continue;
    await rm(join(directory, name), { recursive: true, force: true });
  }
  if (current !== undefined) await rm(join(directory, current), { recursive: true, force: true });
  return true;
}

function topName(path: string): string {
  return normalize(path).split('/')[0] ?? path;
}

function stamp(): string {
  return new Date().toISOString().replaceAll(/[-:]/g, '_').replace('T', '_').replace(/Z$/, '');
}

async function isSame(directory: string, files: readonly PayloadFile[]): Promise<boolean> {
  const left = new Set(await listFiles(directory, ''));
  for (const file of files) {
    const path = normalize(file.path);
    if (!left.delete(path)) return false;
    if (((await lstat(join(directory, path))).mode & 0o7777) !== file.mode) return false;
    if (!(await readFile(join(directory, path))).equals(file.data)) return false;
  }
  return left.size === 0;
}

async function listFiles(root: string, path: string): Promise<string[]> {
  const names = [];
  for (const entry of await readdir(join(root, path), { withFileTypes: true })) {
    const child = path === '' ? entry.name : `${path}/${entry.name}`;
    if (entry.isDirectory()) names.push(...(await listFiles(root, child)));
    else names.push(child);
  }
  return names;
}

async function readLinkOf(path: string): Promise<string | undefined> {
  try {
    return await readlink(path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}
