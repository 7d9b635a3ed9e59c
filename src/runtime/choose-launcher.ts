import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { messageOf } from '../base/coded-error.ts';
import { findProgram } from './find-program.ts';
import type { Launcher } from './launcher.ts';
import { RuncLauncher } from './runc-launcher.ts';
import { RuntimeError } from './runtime-error.ts';
import { UnshareLauncher } from './unshare-launcher.ts';

const run = promisify(execFile);

/** Longest time a probe may take: a healthy machine needs a tenth of a second. */
const PROBE_TIMEOUT_MS = 10_000;

/** Folders of the machine that make its own programs run inside the probe. */
const SYSTEM_FOLDERS = ['/bin', '/lib', '/lib32', '/lib64', '/usr'];

export interface LauncherChoice {
  readonly launcher: Launcher;
  /** Why the preferred ones were not taken. */
  readonly refused: readonly { readonly name: string; readonly reason: string }[];
}

export type LauncherName = Launcher['name'];

/**
 * Finds out by trying which way of running containers works here: `runc`, `crun`, else util-linux.
 *
 * @param options.only tries just this one
 * @throws RuntimeError `UNAVAILABLE` naming every reason when none does
 */
export async function chooseLauncher(
  options: { root: string; only?: LauncherName },
  signal: AbortSignal,
): Promise<LauncherChoice> {
  const refused: { name: string; reason: string }[] = [];
  const names: readonly LauncherName[] =
    options.only === undefined ? ['runc', 'crun', 'unshare'] : [options.only];
  for (const name of names) {
    try {
      const launcher =
        name === 'unshare' ? await tryUnshare(signal) : await tryOci(name, options.root, signal);
      return { launcher, refused };
    } catch (error) {
      signal.throwIfAborted();
      refused.push({ name, reason: reasonOf(error) });
    }
  }
  const reasons = refused.map(({ name, reason }) => `${name}: ${reason}`).join('; ');
  throw new RuntimeError('UNAVAILABLE', `Cannot run containers on this machine: ${reasons}`);
}

async function tryOci(name: 'runc' | 'crun', root: string, signal: AbortSignal): Promise<Launcher> {
  if (process.getuid?.() !== 0) throw new RuntimeError('UNAVAILABLE', 'needs root here');
  const program = await findProgram(name);
  if (program === undefined) throw new RuntimeError('UNAVAILABLE', 'not installed');
  const { stdout } = await run(program, ['--version'], { signal, timeout: PROBE_TIMEOUT_MS });
  const version = /version (\S+)/.exec(stdout)?.[1] ?? 'unknown';
  const state = join(root, name);
  await mkdir(state, { recursive: true, mode: 0o700 });
  const launcher = new RuncLauncher({ name, version, program, state });
  const directory = await mkdtemp(join(root, 'probe-'));
  try {
    await probe(launcher, directory, signal);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  return launcher;
}

/** Runs the machine's own `true` in a container that sees the machine's programs read-only. */
async function probe(launcher: RuncLauncher, directory: string, signal: AbortSignal): Promise<void> {
  const rootfs = join(directory, 'rootfs');
  await mkdir(rootfs);
  const program = await findProgram('true');
  if (program === undefined) throw new RuntimeError('UNAVAILABLE', 'no program "true" to try with');
  const id = `drayage-probe-${process.pid}-${Date.now()}`;
  const cgroup = `/drayage/${id}`;
  const plan = {
    id,
    directory,
    rootfs: { key: id, path: rootfs, kind: 'copy' as const },
    process: {
      args: [program],
      env: [],
      cwd: '/',
      user: { uid: 0, gid: 0, supplementalGroups: [], home: '/' },
    },
    hostname: 'probe',
    mounts: await systemFolders(),
    config: PROBE_CONFIG,
    cgroup,
  };
  const command = await launcher.prepare(plan);
  try {
    await run(command.file, [...command.args], { env: command.env, signal, timeout: PROBE_TIMEOUT_MS });
  } catch (error) {
    signal.throwIfAborted();
    const log = await readFile(join(directory, 'runtime.log'), 'utf8').catch(() => '');
    if (log === '') await writeFile(join(directory, 'runtime.log'), messageOf(error));
    throw new RuntimeError('UNAVAILABLE', await launcher.startFailure(plan), { cause: error });
  } finally {
    await launcher.afterExit(plan);
  }
}

const PROBE_CONFIG = {
  name: 'probe',
  attempt: 0,
  userSpecifiedImage: '',
  imageRef: '',
  command: [],
  args: [],
  workingDir: '',
  env: [],
  mounts: [],
  labels: {},
  annotations: {},
  logPath: '',
  stdin: false,
  tty: false,
};

async function systemFolders(): Promise<
  { source: string; destination: string; readonly: boolean; directory: boolean }[]
> {
  const mounts = [];
  for (const folder of SYSTEM_FOLDERS) {
    const exists = await readFile(folder).then(
      () => false,
      (error: NodeJS.ErrnoException) => error.code === 'EISDIR',
    );
    if (exists) mounts.push({ source: folder, destination: folder, readonly: true, directory: true });
  }
  return mounts;
}

async function tryUnshare(signal: AbortSignal): Promise<Launcher> {
  const rootless = process.getuid?.() !== 0;
  const need = async (name: string): Promise<string> => {
    const path = await findProgram(name);
    if (path === undefined) throw new RuntimeError('UNAVAILABLE', `program "${name}" is not installed`);
    return path;
  };
  const tools = {
    unshare: await need('unshare'),
    nsenter: await need('nsenter'),
    mount: await need('mount'),
    env: await need('env'),
    sh: await need('sh'),
    setpriv: await findProgram('setpriv'),
    hostname: await findProgram('hostname'),
  };
  const { stdout } = await run(tools.unshare, ['--version'], { signal, timeout: PROBE_TIMEOUT_MS });
  const user = rootless ? ['--user', '--map-root-user'] : [];
  await run(
    tools.unshare,
    [...user, '--mount', '--uts', '--ipc', '--pid', '--fork', '--', tools.sh, '-c', 'mount -t tmpfs x /mnt'],
    { signal, timeout: PROBE_TIMEOUT_MS },
  );
  const version = /(\d+(?:\.\d+)+)/.exec(stdout)?.[1] ?? 'unknown';
  return new UnshareLauncher({ version, tools, rootless });
}

function reasonOf(error: unknown): string {
  const stderr =
    typeof error === 'object' && error !== null && 'stderr' in error ? String(error.stderr).trim() : '';
  const text = stderr === '' ? messageOf(error) : stderr;
  return text.split('\n').at(-1) ?? text;
}
