import { open } from 'node:fs/promises';
import { posix } from 'node:path';
import type { ResolvedMount } from './launcher.ts';
import { RootedTree, type RootedEntry } from './rooted-path.ts';
import { RuntimeError } from './runtime-error.ts';
import type { ProcessSpec } from './process-spec.ts';

/** ELF machine numbers by Node's name of the processor. @see elf(5), e_machine */
const ELF_MACHINES: Readonly<Record<string, number>> = {
  x64: 62,
  ia32: 3,
  arm64: 183,
  arm: 40,
  ppc64: 21,
  s390x: 22,
  riscv64: 243,
  loong64: 258,
};

/**
 * Finds the file that a process would execute, with the file systems mounted over the root taken into account.
 *
 * @throws RuntimeError `START_FAILED`, worded as OCI runtimes do
 */
export async function findExecutable(
  root: RootedTree,
  mounts: readonly ResolvedMount[],
  process: ProcessSpec,
): Promise<RootedEntry> {
  const name = process.args[0] ?? '';
  const failed = (state: string): RuntimeError =>
    new RuntimeError(
      'START_FAILED',
      `unable to start container process: error during container init: exec: "${name}": ${state}`,
    );
  if (name.includes('/')) {
    const path = posix.resolve(process.cwd, name);
    const entry = await entryAt(root, mounts, path);
    if (entry.kind === undefined) throw failed(`stat ${name}: no such file or directory`);
    if (entry.kind === 'directory') throw failed('is a directory');
    if ((entry.mode & 0o111) === 0) throw failed('permission denied');
    return entry;
  }
  const path = process.env.find((line) => line.startsWith('PATH='))?.slice('PATH='.length) ?? '';
  for (const directory of path.split(':')) {
    const entry = await entryAt(root, mounts, posix.resolve(process.cwd, directory, name));
    if (entry.kind === 'file' && (entry.mode & 0o111) !== 0) return entry;
  }
  throw failed('executable file not found in $PATH');
}

/**
 * Tells whether the kernel of this machine can execute a file: a script, or ELF of its own processor. `binfmt` says
 * that interpreters for foreign formats are registered, which makes every ELF file possible.
 */
export async function hasExecutableFormat(
  hostPath: string,
  architecture: string,
  binfmt: boolean,
): Promise<boolean> {
  const file = await open(hostPath, 'r');
  try {
    const head = Buffer.alloc(20);
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    if (head.toString('latin1', 0, 2) === '#!') return true;
    if (bytesRead < head.length || head.toString('latin1', 0, 4) !== '\x7fELF') return binfmt;
    const bigEndian = head[5] === 2;
    const machine = bigEndian ? head.readUInt16BE(18) : head.readUInt16LE(18);
    if (binfmt || machine === ELF_MACHINES[architecture]) return true;
    // 32-bit programs of the same family run too.
    return (architecture === 'x64' && machine === 3) || (architecture === 'arm64' && machine === 40);
  } finally {
    await file.close();
  }
}

async function entryAt(
  root: RootedTree,
  mounts: readonly ResolvedMount[],
  path: string,
): Promise<RootedEntry> {
  // The last mount over a path hides the earlier ones.
  for (const mount of mounts.toReversed()) {
    if (mount.overlayLower !== undefined) {
      if (path.startsWith(`${mount.destination}/`)) {
        return await new RootedTree(mount.overlayLower).resolve(path.slice(mount.destination.length));
      }
      continue;
    }
    if (path === mount.destination && !mount.directory) return await fileEntry(mount.source);
    if (mount.directory && path.startsWith(`${mount.destination}/`)) {
      return await new RootedTree([mount.source]).resolve(path.slice(mount.destination.length));
    }
  }
  return await root.resolve(path);
}

async function fileEntry(source: string): Promise<RootedEntry> {
  const slash = source.lastIndexOf('/');
  return await new RootedTree([source.slice(0, slash)]).resolve(source.slice(slash));
}
