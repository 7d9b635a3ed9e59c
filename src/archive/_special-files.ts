import { spawnSync } from 'node:child_process';

/*
 * Node has no call for device nodes, fifos and extended attributes, and native add-ons are not wanted. Each batch is one
 * process: `sh` with mknod and mkfifo (coreutils or busybox), and `setfattr --restore` (package attr) where it is there.
 */

export interface NodeRequest {
  /** Absolute byte path. */
  readonly path: string;
  readonly type: 'character' | 'block' | 'fifo';
  readonly major: number;
  readonly minor: number;
}

export interface XattrRequest {
  /** Absolute byte path. */
  readonly path: string;
  readonly name: string;
  readonly value: Buffer;
}

/** Bytes of stderr that are kept from a helper: enough for its first complaints. */
const MAX_COMPLAINT = 64 * 1024;

/** Makes nodes and returns a complaint when not all could be made. */
export function makeNodes(requests: readonly NodeRequest[]): string | undefined {
  if (requests.length === 0) return undefined;
  const script = requests.map((request) => {
    const path = quote(request.path);
    if (request.type === 'fifo') return `mkfifo -m 600 ${path} || exit 1\n`;
    return `mknod -m 600 ${path} ${request.type === 'block' ? 'b' : 'c'} ${request.major} ${request.minor} || exit 1\n`;
  });
  return run('sh', ['-s'], script.join(''));
}

/** Sets extended attributes, on links themselves, and returns a complaint when not all could be set. */
export function setXattrs(requests: readonly XattrRequest[]): string | undefined {
  if (requests.length === 0) return undefined;
  const dump = requests.map(
    ({ path, name, value }) =>
      `# file: ${escape(path)}\n${escape(name)}=${value.length === 0 ? '""' : `0x${value.toString('hex')}`}\n\n`,
  );
  return run('setfattr', ['-h', '--restore=-'], dump.join(''));
}

function run(command: string, args: string[], input: string): string | undefined {
  const done = spawnSync(command, args, {
    cwd: '/',
    input: Buffer.from(input, 'latin1'),
    stdio: ['pipe', 'ignore', 'pipe'],
    maxBuffer: MAX_COMPLAINT,
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
  });
  if (done.error !== undefined) return done.error.message;
  return done.status === 0 ? undefined : done.stderr.toString('utf8').trim() || `${command} failed`;
}

/** Quotes for `sh`: nothing is special between single quotes but the quote itself. */
function quote(path: string): string {
  return `'${path.replaceAll("'", `'\\''`)}'`;
}

/** Escapes as getfattr prints: backslash and control bytes as octal, so that no name can begin a new line. */
function escape(text: string): string {
  return text.replace(
    /[\\\x00-\x1f\x7f=]/g,
    (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
}
