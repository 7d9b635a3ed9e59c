import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Pod } from '../kube/pod.ts';

/** Longest host name of Linux. */
const MAX_HOSTNAME = 63;

/** Returns the host name that a Pod's containers see. */
export function podHostname(pod: Pod): string {
  const wanted = pod.spec.hostname;
  if (wanted !== undefined && wanted !== '') return wanted;
  return pod.metadata.name.slice(0, MAX_HOSTNAME).replace(/[-.]+$/, '');
}

/** Writes the hosts file that all containers of a Pod share. */
export async function writeEtcHosts(path: string, pod: Pod, podIP: string): Promise<void> {
  const hostname = podHostname(pod);
  const { subdomain } = pod.spec;
  const names =
    subdomain === undefined || subdomain === ''
      ? hostname
      : `${hostname}.${subdomain}.${pod.metadata.namespace ?? 'default'}.svc.cluster.local\t${hostname}`;
  const lines = [
    '# Kubernetes-managed hosts file.',
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'fe00::0\tip6-mcastprefix',
    'fe00::1\tip6-allnodes',
    'fe00::2\tip6-allrouters',
    `${podIP}\t${names}`,
  ];
  const aliases = hostAliases(pod);
  if (aliases.length > 0) lines.push('', '# Entries added by HostAliases.', ...aliases);
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await writeFile(path, `${lines.join('\n')}\n`, { mode: 0o644 });
}

function hostAliases(pod: Pod): string[] {
  const aliases = pod.spec['hostAliases'];
  if (!Array.isArray(aliases)) return [];
  return (aliases as { ip?: string; hostnames?: string[] }[]).map(
    ({ ip, hostnames }) => `${ip ?? ''}\t${(hostnames ?? []).join('\t')}`,
  );
}
