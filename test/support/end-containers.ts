import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Kills every process of the containers whose file systems lie below a root. Containers outlive the node that started them, and
 * nothing in their command lines says where they came from: they are known by their container's name, in the file system that is
 * their `/`, or in their control group.
 */
export function endContainers(root: string): void {
  const roots = [root, ...namesIn(join(root, 'nodes')).map((name) => join(root, 'nodes', name))];
  const containers = roots.flatMap((each) => namesIn(join(each, 'rootfs')));
  if (containers.length === 0) return;
  for (const pid of namesIn('/proc').filter((name) => /^\d+$/.test(name))) {
    const where = [...read(`/proc/${pid}/mountinfo`).split('\n').filter(isRoot), read(`/proc/${pid}/cgroup`)];
    if (!containers.some((id) => where.some((line) => line.includes(id)))) continue;
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch (error) {
      // It may have ended meanwhile.
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  }
}

/** Whether a line of mountinfo tells of the mount that the process sees as `/`. */
function isRoot(line: string): boolean {
  return line.split(' ')[4] === '/';
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Returns nothing of a process that has gone or is somebody else's. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
