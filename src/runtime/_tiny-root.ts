import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Rootfs, RootfsProvider } from '../images/rootfs.ts';
import type { ContainerImage, ImageLookup, ImageRunConfig } from './container-image.ts';
import { findProgram } from './find-program.ts';

/* A real root file system for tests, made of this machine's own programs and the libraries that they need. */

const run = promisify(execFile);

const PROGRAMS = [
  'sh',
  'cat',
  'echo',
  'sleep',
  'id',
  'ls',
  'env',
  'hostname',
  'touch',
  'true',
  'head',
  'grep',
];

/** Makes a root file system with a shell in a new temporary directory. */
export async function makeTinyRoot(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'drayage-root-'));
  await chmod(root, 0o755);
  for (const name of ['tmp', 'etc', 'proc', 'dev', 'sys', 'bin', 'run']) await mkdir(join(root, name));
  await writeFile(
    join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1001::/home/alice:/bin/sh\n',
  );
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nstaff:x:1001:\nextra:x:2002:alice\n');
  for (const name of PROGRAMS) {
    const program = await findProgram(name);
    if (program === undefined) continue;
    await copy(await realpath(program), join(root, 'bin', name));
    const { stdout } = await run('ldd', [program]).catch(() => ({ stdout: '' }));
    for (const match of stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)) {
      const library = match[1];
      if (library !== undefined) await copy(await realpath(library), join(root, library));
    }
  }
  return root;
}

async function copy(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await cp(from, to, { force: true });
}

/** Gives each container a copy of one directory, whatever its layers are said to be. */
export class CopyRootfs implements RootfsProvider {
  readonly #source: string;
  readonly #root: string;

  constructor(source: string, root: string) {
    this.#source = source;
    this.#root = root;
  }

  async isUnpacked(): Promise<boolean> {
    return true;
  }

  async prepare(key: string): Promise<Rootfs> {
    const path = join(this.#root, key);
    await cp(this.#source, path, { recursive: true, force: true, verbatimSymlinks: true });
    return { key, path, kind: 'copy' };
  }

  view(key: string): Promise<Rootfs> {
    return this.prepare(key);
  }

  async remove(key: string): Promise<void> {
    await rm(join(this.#root, key), { recursive: true, force: true });
  }

  async keys(): Promise<string[]> {
    return await readdir(this.#root);
  }
}

/** Knows one image under every name. */
export function oneImage(config: ImageRunConfig): ImageLookup {
  const image: ContainerImage = {
    id: `sha256:${'a'.repeat(64)}`,
    image: 'registry.example/tiny:1',
    imageRef: `registry.example/tiny@sha256:${'b'.repeat(64)}`,
    diffIds: [],
    config,
  };
  return async () => image;
}
