import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { OverlayMarks } from '../archive/overlay-marks.ts';
import { isSystemError, messageOf } from '../base/coded-error.ts';

/** What this machine, file system and user allow. Found out by trying, once for each opened store. */
export interface OverlaySupport {
  /**
   * `mount`: this process mounts overlays itself. `user-namespace`: only inside a user namespace of its own, with the
   * `userxattr` option. `none`: neither.
   */
  readonly mounting: 'mount' | 'user-namespace' | 'none';
  /** How layers are marked so that such mounts read them. */
  readonly marks: OverlayMarks;
  /** Why `mounting` is `none`, for people. */
  readonly reason?: string;
}

/** Longest that a probe may take before it counts as failed. */
const PROBE_MS = 10_000;

/**
 * Tries.
 *
 * @param directory keeps the whiteout node
 * @param scratch directory on the same file system for what is made and removed again
 */
export async function probeOverlay(directory: string, scratch: string): Promise<OverlaySupport> {
  const root = process.geteuid?.() === 0;
  const whiteoutNode = join(directory, 'whiteout');
  const opaqueXattr = root ? 'trusted.overlay.opaque' : 'user.overlay.opaque';
  const probe = await mkdtemp(join(scratch, 'probe-'));
  try {
    for (const name of ['lower', 'lower/a', 'upper', 'work', 'merged']) await mkdir(join(probe, name));
    const mount = root ? ROOT_MOUNT : USER_MOUNT;
    const reason = await run('sh', ['-c', PROBE, 'sh', whiteoutNode, opaqueXattr, ...mount], { cwd: probe });
    const marks = {
      ...((await isWhiteoutNode(whiteoutNode)) ? { whiteoutNode } : {}),
      ...(existsSync(join(probe, 'marked')) ? { opaqueXattr } : {}),
    };
    if (reason !== undefined) return { mounting: 'none', marks, reason };
    return { mounting: root ? 'mount' : 'user-namespace', marks };
  } finally {
    await rm(probe, { recursive: true, force: true });
  }
}

/**
 * What is tried, in one shell, because every program that is started from here costs some 8 ms: make the whiteout node at `$1` (the
 * kernel lets anyone make the device 0:0, which stands for a whiteout and nothing else), set the attribute `$2`, and mount.
 */
const PROBE = `
  [ -e "$1" ] || mknod -m 600 "$1" c 0 0 2>/dev/null
  setfattr -n "$2" -v y lower/a 2>/dev/null && : > marked
  shift 2
  "$@" || exit
  umount merged 2>/dev/null
  exit 0`;

const OPTIONS = 'lowerdir=lower,upperdir=upper,workdir=work';
const ROOT_MOUNT = `mount -t overlay overlay -o ${OPTIONS} merged`.split(' ');
const USER_MOUNT =
  `unshare --user --map-root-user --mount mount -t overlay overlay -o ${OPTIONS},userxattr merged`.split(' ');

async function isWhiteoutNode(path: string): Promise<boolean> {
  try {
    const facts = await stat(path);
    return facts.isCharacterDevice() && facts.rdev === 0;
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
    return false;
  }
}

/** Runs a program of the system and returns a complaint, or undefined when it succeeded. */
export async function run(
  command: string,
  args: readonly string[],
  { cwd = '/', timeoutMs = PROBE_MS }: { readonly cwd?: string; readonly timeoutMs?: number } = {},
): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const child = spawn(command, args, {
    cwd,
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: timeoutMs,
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
  });
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => {
    if (complaint.length < 4096) complaint += chunk.toString('utf8');
  });
  child.on('error', (error) => resolve(messageOf(error)));
  child.on('close', (code) => resolve(code === 0 ? undefined : complaint.trim() || `${command} failed`));
  return promise;
}

/** Returns the mount points at or below `directory`. */
export async function mountPointsBelow(directory: string): Promise<string[]> {
  let text: string;
  try {
    text = await readFile('/proc/self/mountinfo', 'utf8');
  } catch {
    return [];
  }
  return text
    .split('\n')
    .map((line) =>
      (line.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, octal: string) =>
        String.fromCharCode(parseInt(octal, 8)),
      ),
    )
    .filter((point) => point === directory || point.startsWith(`${directory}/`));
}
