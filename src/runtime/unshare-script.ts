import type { LaunchPlan } from './launcher.ts';
import { capabilitySet } from './capabilities.ts';
import { RootedTree } from './rooted-path.ts';
import { shellQuote as q } from './shell-quote.ts';

/** Absolute paths of the util-linux and coreutils programs that a container is made with. */
export interface UnshareTools {
  readonly unshare: string;
  readonly nsenter: string;
  readonly mount: string;
  readonly env: string;
  readonly sh: string;
  readonly setpriv: string | undefined;
  readonly hostname: string | undefined;
}

const DEVICES = ['null', 'zero', 'full', 'random', 'urandom', 'tty'];

/**
 * Functions of the script. `protect` repeats with the flags that a user namespace may not take off a mount that came
 * from outside (mount_namespaces(7), "Restrictions on mount namespaces").
 */
const FUNCTIONS = `protect() {
  for extra in '' ,nosuid,nodev ,nosuid,nodev,noexec ,nosuid,nodev,relatime ,nosuid,nodev,noexec,relatime ,relatime; do
    mount -o "remount,bind,ro$extra" "$1" 2>/dev/null && return 0
  done
  mount -o remount,bind,ro "$1"
}
file() { mkdir -p "$(dirname "$1")"; [ -e "$1" ] || : >"$1"; }
`;

/**
 * Writes the shell script that runs as first process of a new set of namespaces: it builds the mounts, reports its number
 * (through the old \`/proc\`, so the machine's number and not 1), and becomes the container's process.
 *
 * @param options.rootless whether user 0 in the namespace is an ordinary user of the machine
 * @param options.badFormat the executable's path when the kernel cannot run it
 */
export async function unshareScript(
  plan: LaunchPlan,
  tools: UnshareTools,
  options: { rootless: boolean; badFormat: string | undefined },
): Promise<string> {
  const root = plan.rootfs.path;
  const tree = new RootedTree(rootLayers(plan));
  const lines = [
    'set -e',
    'exec 3>&2 2>runtime.log',
    'read -r stat </proc/self/stat',
    FUNCTIONS,
    ...mountRoot(plan),
    ...systemMounts(root, options.rootless),
  ];
  for (const mount of plan.mounts) {
    const target = `${root}${(await tree.resolve(mount.destination)).path}`;
    lines.push(mount.directory ? `mkdir -p ${q(target)}` : `file ${q(target)}`);
    if (mount.overlayLower !== undefined) {
      lines.push(overlayMount(mount.overlayLower, undefined, target));
    } else {
      lines.push(`mount --rbind ${q(mount.source)} ${q(target)}`);
      if (mount.readonly) lines.push(`protect ${q(target)}`);
    }
  }
  const cwd = (await tree.resolve(plan.process.cwd)).path;
  lines.push(`mkdir -p ${q(`${root}${cwd}`)}`);
  if (plan.config.readonlyRootfs === true) lines.push(`protect ${q(root)}`);
  if (tools.hostname !== undefined) lines.push(`${q(tools.hostname)} ${q(plan.hostname)} 2>/dev/null || :`);
  lines.push(`printf '%s\\n' "$stat" >pid.tmp`, 'mv pid.tmp pid', 'exec 2>&3 3>&-');
  if (options.badFormat !== undefined) {
    lines.push(`printf '%s\\n' ${q(`exec ${options.badFormat}: exec format error`)} >&2`, 'exit 1');
  } else {
    lines.push(`exec ${finalCommand(plan, tools, options.rootless, cwd).map(q).join(' ')}`);
  }
  return `${lines.join('\n')}\n`;
}

/** Returns the directories that make up the container's root, topmost first. */
export function rootLayers(plan: Pick<LaunchPlan, 'rootfs'>): readonly string[] {
  const overlay = plan.rootfs.overlay;
  return overlay === undefined ? [plan.rootfs.path] : [overlay.upper, ...overlay.lower];
}

function mountRoot(plan: LaunchPlan): string[] {
  const { path, overlay } = plan.rootfs;
  const mount =
    overlay === undefined
      ? `mount --rbind ${q(path)} ${q(path)}`
      : overlayMount(overlay.lower, { upper: overlay.upper, work: overlay.work }, path);
  return ['mount --make-rprivate /', mount];
}

function overlayMount(
  lower: readonly string[],
  writable: { upper: string; work: string } | undefined,
  target: string,
): string {
  if (writable === undefined && lower.length === 1) {
    return `mount --rbind ${q(lower[0] ?? '')} ${q(target)}; protect ${q(target)}`;
  }
  const escape = (path: string): string => path.replaceAll(/([\\:,])/g, '\\$1');
  const options = [`lowerdir=${lower.map(escape).join(':')}`];
  if (writable !== undefined) {
    options.push(`upperdir=${escape(writable.upper)}`, `workdir=${escape(writable.work)}`);
  }
  const mount = (extra: string): string =>
    `mount -t overlay overlay -o ${q(options.join(',') + extra)} ${q(target)}`;
  // In a user namespace the marks of removed files live in user attributes.
  return `${mount(',userxattr')} 2>/dev/null || ${mount('')}`;
}

function systemMounts(root: string, rootless: boolean): string[] {
  const at = (path: string): string => q(`${root}${path}`);
  const lines = [
    `mkdir -p ${at('/proc')} ${at('/dev')} ${at('/sys')}`,
    `mount -t tmpfs -o nosuid,mode=755,size=65536k tmpfs ${at('/dev')}`,
    `mkdir ${at('/dev/pts')} ${at('/dev/shm')} ${at('/dev/mqueue')}`,
    `mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts ${at('/dev/pts')}`,
    `ln -s pts/ptmx ${at('/dev/ptmx')}`,
    `mount -t tmpfs -o nosuid,nodev,noexec,mode=1777,size=65536k shm ${at('/dev/shm')}`,
    `mount -t mqueue -o nosuid,nodev,noexec mqueue ${at('/dev/mqueue')} 2>/dev/null || :`,
  ];
  for (const name of DEVICES) {
    lines.push(`: >${at(`/dev/${name}`)}`, `mount --bind /dev/${name} ${at(`/dev/${name}`)}`);
  }
  lines.push(
    `ln -s /proc/self/fd ${at('/dev/fd')}`,
    `ln -s /proc/self/fd/0 ${at('/dev/stdin')}`,
    `ln -s /proc/self/fd/1 ${at('/dev/stdout')}`,
    `ln -s /proc/self/fd/2 ${at('/dev/stderr')}`,
    // Inside another container a part of /proc is covered, and the kernel then forbids a fresh one.
    `mount -t proc -o nosuid,nodev,noexec proc ${at('/proc')} 2>/dev/null || mount --rbind /proc ${at('/proc')}`,
  );
  if (rootless) {
    lines.push(`mount --rbind /sys ${at('/sys')} 2>/dev/null || :`);
  } else {
    lines.push(
      `mount -t sysfs -o ro,nosuid,nodev,noexec sysfs ${at('/sys')} 2>/dev/null || mount --rbind /sys ${at('/sys')}`,
    );
  }
  return lines;
}

function finalCommand(plan: LaunchPlan, tools: UnshareTools, rootless: boolean, cwd: string): string[] {
  const { args, env, user } = plan.process;
  const words = [tools.env, '-i', ...env];
  if (tools.setpriv !== undefined) {
    const kept = capabilitySet(plan.config).map((name) => `+${name.slice('CAP_'.length).toLowerCase()}`);
    // chroot, and the change of user, come after this point.
    const needed = rootless ? ['+sys_chroot'] : ['+sys_chroot', '+setuid', '+setgid'];
    words.push(tools.setpriv, '--bounding-set', ['-all', ...new Set([...kept, ...needed])].join(','));
    words.push('--inh-caps', '-all');
    if (plan.config.noNewPrivileges === true) words.push('--no-new-privs');
    words.push('--');
  }
  words.push(tools.unshare);
  if (user.uid !== 0 || user.gid !== 0) {
    if (rootless) words.push('--user', `--map-user=${user.uid}`, `--map-group=${user.gid}`);
    else words.push('--setgid', String(user.gid), '--setuid', String(user.uid));
  }
  words.push(`--root=${plan.rootfs.path}`, `--wd=${cwd}`, '--', ...args);
  return words;
}
