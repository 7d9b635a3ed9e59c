import { BlockList, isIP } from 'node:net';
import { splitHost } from '../dial-error.ts';
import type { RegistryHost } from '../host-config.ts';
import { isLoopback } from '../realm.ts';
import { ALL_CAPABILITIES } from './hosts-toml.ts';

/** Where Docker Hub really lives. */
export const DOCKER_HUB_HOST = 'registry-1.docker.io';

/** The way to a registry of which nothing is configured (rules 16.14, 16.15). */
export function defaultHost(registry: string, insecure: readonly string[] = []): RegistryHost {
  const host = registry === 'docker.io' ? DOCKER_HUB_HOST : registry;
  const base: RegistryHost = {
    host,
    scheme: 'https',
    path: '/v2',
    capabilities: ALL_CAPABILITIES,
    ca: [],
    clientCertificates: [],
    skipVerify: false,
    headers: {},
    mirror: false,
  };
  if (isLoopback(splitHost(host, 443).name)) return withScheme(base, localScheme(host), true);
  return isInsecure(host, insecure) ? { ...base, skipVerify: true, fallbackToHttp: true } : base;
}

/** On this machine: https without a port or on 443, http elsewhere. */
export function localScheme(host: string): 'https' | 'http' {
  const { port } = splitHost(host, 443);
  return port === 443 ? 'https' : 'http';
}

/**
 * Settles scheme and trust. Plain http together with TLS settings is ambiguous: https is tried first and gives way to http
 * (rule 16.14), except on port 80 and on http's default port.
 */
export function withScheme(host: RegistryHost, scheme: 'https' | 'http', skipVerify: boolean): RegistryHost {
  const tls = skipVerify || host.ca.length > 0 || host.clientCertificates.length > 0;
  const port = splitHost(host.host, 80).port;
  if (scheme === 'https') return { ...host, scheme, skipVerify };
  if (!tls || port === 80) return { ...host, scheme: 'http', skipVerify: false };
  return { ...host, scheme: 'https', skipVerify, fallbackToHttp: true };
}

/** Tells whether a registry is on the administrator's list of insecure ones: names with port, or CIDR ranges of addresses. */
export function isInsecure(host: string, list: readonly string[]): boolean {
  const { name, port } = splitHost(host, 443);
  return list.some((entry) => {
    if (entry === host || entry === `${name}:${port}` || entry === name) return true;
    const [network = '', bits = ''] = entry.split('/');
    const family = isIP(network);
    if (!/^\d{1,3}$/.test(bits) || family === 0 || family !== isIP(name)) return false;
    if (Number(bits) > (family === 4 ? 32 : 128)) return false;
    const range = new BlockList();
    range.addSubnet(network, Number(bits), family === 4 ? 'ipv4' : 'ipv6');
    return range.check(name, family === 4 ? 'ipv4' : 'ipv6');
  });
}
