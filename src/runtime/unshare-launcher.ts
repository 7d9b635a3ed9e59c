import { readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError } from '../base/coded-error.ts';
import { findExecutable, hasExecutableFormat } from './executable.ts';
import type { Command, LaunchedContainer, Launcher, LaunchPlan } from './launcher.ts';
import type { ProcessSpec } from './process-spec.ts';
import { RootedTree } from './rooted-path.ts';
import { rootLayers, unshareScript, type UnshareTools } from './unshare-script.ts';

/** What the tools themselves see; containers get their own environment. */
const TOOL_ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };

/**
 * The first child of a process that unshared becomes process 1 of the new namespace. A shell reports how it ended truly;
 * `unshare --fork` of util-linux before 2.39 answers 1 when it was killed. Two commands, so that no shell becomes the child itself.
 */
const FIRST_CHILD = '"$0" init.sh; exit $?';

/**
 * Runs containers with nothing but util-linux: own mount, process, host name and IPC namespaces, and a user namespace
 * when the agent is not root. It has no control groups, so resource limits are not applied, and it changes the root by
 * chroot: weaker walls than an OCI runtime's.
 */
export class UnshareLauncher implements Launcher {
  readonly name = 'unshare';
  readonly version: string;
  readonly #tools: UnshareTools;
  readonly #rootless: boolean;

  constructor(options: { version: string; tools: UnshareTools; rootless: boolean }) {
    this.version = options.version;
    this.#tools = options.tools;
    this.#rootless = options.rootless;
  }

  async prepare(plan: LaunchPlan): Promise<Command> {
    const tree = new RootedTree(rootLayers(plan));
    const executable = await findExecutable(tree, plan.mounts, plan.process);
    const runs =
      executable.kind !== 'file' ||
      (await hasExecutableFormat(executable.hostPath, process.arch, await binfmtRegistered()));
    const script = await unshareScript(plan, this.#tools, {
      rootless: this.#rootless,
      badFormat: runs ? undefined : executable.path,
    });
    await writeFile(join(plan.directory, 'init.sh'), script, { mode: 0o600 });
    const user = this.#rootless ? ['--user', '--map-root-user'] : [];
    return {
      file: this.#tools.unshare,
      args: [
        ...user,
        '--mount',
        '--uts',
        '--ipc',
        '--pid',
        '--',
        this.#tools.sh,
        '-c',
        FIRST_CHILD,
        this.#tools.sh,
      ],
      env: TOOL_ENV,
    };
  }

  async startFailure(plan: { directory: string }): Promise<string> {
    let text = '';
    try {
      text = await readFile(join(plan.directory, 'runtime.log'), 'utf8');
    } catch (error) {
      if (!isSystemError(error, 'ENOENT')) throw error;
      // It ended before the script began: unshare's own words are in the container's error output.
      text = await readFile(join(plan.directory, 'stderr'), 'utf8');
    }
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    return `unable to start container process: ${lines.at(-1) ?? 'unshare ended without a message'}`;
  }

  /** The script writes `pid` just before its last step, the change of root: who enters earlier would see the machine's files. */
  async hasEntered(pid: number): Promise<boolean> {
    try {
      return (await readlink(`/proc/${pid}/root`)) !== '/';
    } catch (error) {
      // Gone already: there is nothing to enter any more.
      if (isSystemError(error)) return true;
      throw error;
    }
  }

  async exec(container: LaunchedContainer, process: ProcessSpec): Promise<Command> {
    const { user } = process;
    const identity = this.#rootless
      ? ['--user', '--preserve-credentials']
      : ['--setgid', String(user.gid), '--setuid', String(user.uid)];
    return {
      file: this.#tools.nsenter,
      args: [
        '--target',
        String(container.init.pid),
        '--mount',
        '--uts',
        '--ipc',
        '--pid',
        '--root',
        // Opened before the change of root; --wdns would be simpler but needs util-linux 2.38.
        `--wd=/proc/${container.init.pid}/root${process.cwd}`,
        ...identity,
        '--',
        ...process.args,
      ],
      env: Object.fromEntries(process.env.map(splitVariable)),
    };
  }

  async afterExit(): Promise<{ oomKilled: boolean }> {
    return { oomKilled: false };
  }
}

function splitVariable(line: string): [string, string] {
  const split = line.indexOf('=');
  return [line.slice(0, split), line.slice(split + 1)];
}

/** Tells whether any interpreter for foreign executables is registered with the kernel. */
async function binfmtRegistered(): Promise<boolean> {
  try {
    const names = await readdir('/proc/sys/fs/binfmt_misc');
    return names.some((name) => name !== 'register' && name !== 'status');
  } catch (error) {
    if (isSystemError(error)) return false;
    throw error;
  }
}
