import { spawn } from 'node:child_process';
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
  const marks: { whiteoutNode?: string; opaqueXattr?: string } = {};
  if (await makeWhiteoutNode(whiteoutNode)) marks.whiteoutNode = whiteoutNode;
  const probe = await mkdtemp(join(scratch, 'probe-'));
  try {
    for (const name of ['lower', 'lower/a', 'upper', 'work', 'merged']) await mkdir(join(probe, name));
    const opaqueXattr = root ? 'trusted.overlay.opaque' : 'user.overlay.opaque';
    const set = await run('setfattr', ['-n', opaqueXattr, '-v', 'y', 'lower/a'], { cwd: probe });
    if (set === undefined) marks.opaqueXattr = opaqueXattr;
    const options = 'lowerdir=lower,upperdir=upper,workdir=work';
    if (root) {
      const reason = await run('mount', ['-t', 'overlay', 'overlay', '-o', options, join(probe, 'merged')], {
        cwd: probe,
      });
      if (reason === undefined) {
        await run('umount', [join(probe, 'merged')], { cwd: probe });
        return { mounting: 'mount', marks };
      }
      return { mounting: 'none', marks, reason };
    }
    const reason = await run(
      'unshare',
      [
        '--user',
        '--map-root-user',
        '--mount',
        'mount',
        '-t',
        'overlay',
        'overlay',
        '-o',
        `${options},userxattr`,
        'merged',
      ],
      { cwd: probe },
    );
    return reason === undefined ? { mounting: 'user-namespace', marks } : { mounting: 'none', marks, reason };
  } finally {
    await rm(probe, { recursive: true, force: true });
  }
}

/** The kernel lets anyone make the device 0:0, which stands for a whiteout and nothing else. */
async function makeWhiteoutNode(path: string): Promise<boolean> {
  try {
    const facts = await stat(path);
    return facts.isCharacterDevice() && facts.rdev === 0;
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
  }
  return (await run('mknod', ['-m', '600', path, 'c', '0', '0'])) === undefined;
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
