import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError } from '../base/coded-error.ts';
import type { ResolvedMount } from './launcher.ts';

const HOSTS = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
`;

/** Writes the host name, hosts and resolver files that a sandbox's containers share. */
export async function writeEtcFiles(directory: string, hostname: string): Promise<void> {
  await writeFile(join(directory, 'hostname'), `${hostname}\n`, { mode: 0o644 });
  await writeFile(join(directory, 'hosts'), `${HOSTS}127.0.1.1\t${hostname}\n`, { mode: 0o644 });
  await writeFile(join(directory, 'resolv.conf'), await hostResolver(), { mode: 0o644 });
}

/** Returns the mounts of those files, except where the container mounts something of its own. */
export function etcMounts(directory: string, taken: ReadonlySet<string>): ResolvedMount[] {
  return ['hostname', 'hosts', 'resolv.conf']
    .filter((name) => !taken.has(`/etc/${name}`))
    .map((name) => ({
      source: join(directory, name),
      destination: `/etc/${name}`,
      readonly: false,
      directory: false,
    }));
}

async function hostResolver(): Promise<string> {
  try {
    return await readFile('/etc/resolv.conf', 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return '';
    throw error;
  }
}
