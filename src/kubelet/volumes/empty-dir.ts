import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { isSystemError } from '../../base/coded-error.ts';
import { quantityValue } from '../../kube/quantity.ts';
import type { Pod, Volume } from '../../kube/pod.ts';

const run = promisify(execFile);

/** Any user of the container may write; with a group, what is made there belongs to it too. */
const MODE = 0o777;
const GROUP_MODE = 0o2777;

const MOUNT_TIMEOUT_MS = 10_000;
const TOOL_ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };

/**
 * Makes an `emptyDir` at `path`, once. With medium `Memory` it is a tmpfs of `sizeLimit`; an ordinary user cannot mount one,
 * and gets a directory.
 */
export async function makeEmptyDir(
  path: string,
  emptyDir: NonNullable<Volume['emptyDir']>,
  pod: Pod,
): Promise<void> {
  await mkdir(path, { recursive: true });
  if (emptyDir.medium === 'Memory' && isRoot() && !(await isMountPoint(path))) {
    const { sizeLimit } = emptyDir;
    const size = sizeLimit === undefined ? [] : ['-o', `size=${Math.ceil(quantityValue(sizeLimit))}`];
    await run('mount', ['-t', 'tmpfs', ...size, 'tmpfs', path], {
      env: TOOL_ENV,
      timeout: MOUNT_TIMEOUT_MS,
    });
  }
  const group = pod.spec.securityContext?.fsGroup;
  // An ordinary user has no other group to give; its containers cannot have one either.
  if (group !== undefined && isRoot()) {
    await chown(path, 0, group);
    await chmod(path, GROUP_MODE);
  } else await chmod(path, MODE);
}

/** Takes a tmpfs away; a plain directory stays for its owner to remove. */
export async function unmountEmptyDir(path: string): Promise<void> {
  if (!(await isMountPoint(path))) return;
  await run('umount', [path], { env: TOOL_ENV, timeout: MOUNT_TIMEOUT_MS });
}

async function isMountPoint(path: string): Promise<boolean> {
  try {
    const [here, above] = await Promise.all([stat(path), stat(dirname(path))]);
    return here.dev !== above.dev;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}
