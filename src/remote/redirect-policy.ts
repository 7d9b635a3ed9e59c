import { BlockList, isIP } from 'node:net';

/*
 * Where a registry may send whoever asks it. A client on somebody's desk follows redirects anywhere, as containerd does. A
 * server that fetches on behalf of others must not be led into the network that it stands in: its clients would read there
 * what they cannot reach themselves.
 */

const INSIDE = new BlockList();
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const)
  INSIDE.addSubnet(network, bits, 'ipv4');
for (const [network, bits] of [
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
] as const)
  INSIDE.addSubnet(network, bits, 'ipv6');

/** Names that only a network of one's own resolves. */
const INSIDE_NAME = /^[^.]+$|\.(?:localhost|local|internal|lan|home|corp|svc)$/;

/** Tells whether a host of a URL lies in a network of one's own, as far as its name or address says. */
export function isInsideHost(hostname: string): boolean {
  const name = hostname
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase();
  const family = isIP(name);
  if (family === 0) return INSIDE_NAME.test(name);
  return INSIDE.check(name, family === 4 ? 'ipv4' : 'ipv6');
}

/** Tells whether a server that fetches for others may follow a redirect: not from TLS into the clear, nor into its network. */
export function mayFollowForOthers(from: URL, to: URL): boolean {
  if (from.protocol === 'https:' && to.protocol !== 'https:') return false;
  return !isInsideHost(to.hostname) || isInsideHost(from.hostname);
}
