import { BlockList, isIP } from 'node:net';
import { isLoopback } from './realm.ts';

export type ProxyEnvironment = Readonly<Record<string, string | undefined>>;

/**
 * Returns the proxy to use for `url`, or undefined to connect directly (rule 16.19): `HTTPS_PROXY`, `HTTP_PROXY` and
 * `NO_PROXY`, in either case, with Go's meaning. This machine is never reached through a proxy.
 */
export function proxyFor(url: URL, environment: ProxyEnvironment): string | undefined {
  const read = (name: string): string =>
    environment[name.toUpperCase()] || environment[name.toLowerCase()] || '';
  const proxy = url.protocol === 'https:' ? read('https_proxy') : httpProxy(environment);
  if (proxy === '') return undefined;
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  if (isLoopback(url.hostname) || isExempt(url.hostname, port, read('no_proxy'))) return undefined;
  return /^[a-z0-9]+:\/\//i.test(proxy) ? proxy : `http://${proxy}`;
}

/** `HTTP_PROXY` in upper case can come from a request's `Proxy:` header where a web server runs us (httpoxy). */
function httpProxy(environment: ProxyEnvironment): string {
  const lower = environment['http_proxy'];
  if (lower !== undefined && lower !== '') return lower;
  return environment['REQUEST_METHOD'] === undefined ? (environment['HTTP_PROXY'] ?? '') : '';
}

/**
 * Tells whether `NO_PROXY` covers a host. Entries, separated by commas: `*`, an address, a CIDR, a name (with all names
 * below it), `.name` (names below it only), each with an optional `:port`.
 */
export function isExempt(hostname: string, port: string, noProxy: string): boolean {
  const name = hostname
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase();
  for (const raw of noProxy.split(',')) {
    const entry = raw.trim().toLowerCase();
    if (entry === '') continue;
    if (entry === '*') return true;
    if (entry.includes('/') && isIP(name) !== 0) {
      if (inSubnet(name, entry)) return true;
      continue;
    }
    const { host, port: onlyPort } = splitEntry(entry);
    if (onlyPort !== undefined && onlyPort !== port) continue;
    if (isIP(host) !== 0 ? host === name : matchesDomain(name, host)) return true;
  }
  return false;
}

function matchesDomain(name: string, entry: string): boolean {
  if (entry.startsWith('*.')) return name.endsWith(entry.slice(1));
  if (entry.startsWith('.')) return name.endsWith(entry);
  return name === entry || name.endsWith(`.${entry}`);
}

function splitEntry(entry: string): { host: string; port: string | undefined } {
  if (isIP(entry) === 6) return { host: entry, port: undefined };
  const match = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(entry);
  return { host: (match?.[1] ?? entry).replace(/^\[|\]$/g, ''), port: match?.[2] };
}

function inSubnet(address: string, cidr: string): boolean {
  const [network = '', bits = ''] = cidr.split('/');
  const family = isIP(network);
  const prefix = Number(bits);
  if (family === 0 || family !== isIP(address) || !/^\d{1,3}$/.test(bits)) return false;
  if (prefix > (family === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  const kind = family === 4 ? 'ipv4' : 'ipv6';
  list.addSubnet(network, prefix, kind);
  return list.check(address, kind);
}
