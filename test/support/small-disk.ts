import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { messageOf } from '../../src/base/coded-error.ts';

const run = promisify(execFile);

/** A file system of its own, made of a file and mounted. */
export interface SmallDisk {
  readonly path: string;
  unmount(): Promise<void>;
}

/** Makes one; says why it cannot be had (not root, no loop devices) where it cannot. */
export async function mountSmallDisk(bytes: number): Promise<SmallDisk | { readonly unavailable: string }> {
  const base = await mkdtemp(join(tmpdir(), 'drayage-disk-'));
  const path = join(base, 'disk');
  try {
    await mkdir(path);
    const file = await open(join(base, 'image'), 'w');
    await file.truncate(bytes);
    await file.close();
    await run('mke2fs', ['-q', '-F', '-m', '0', '-t', 'ext4', join(base, 'image')]);
    await run('mount', ['-o', 'loop', join(base, 'image'), path]);
  } catch (error) {
    await rm(base, { recursive: true, force: true });
    return { unavailable: `no file system can be mounted here: ${messageOf(error)}` };
  }
  return {
    path,
    unmount: async () => {
      await run('umount', [path]).catch(() => run('umount', ['-l', path]));
      await rm(base, { recursive: true, force: true });
    },
  };
}
