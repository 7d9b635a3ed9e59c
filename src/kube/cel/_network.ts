import { BlockList, isIP } from 'node:net';
import type { Environment } from '@marcbachmann/cel-js';
import { canonicalAddress, ipv4Within, networkAddress } from '../ip-address.ts';
import { addNamespace, adderTo } from './_add-functions.ts';

/** An address as expressions hold it. */
class Ip {
  readonly text: string;
  readonly family: 4 | 6;

  constructor(text: string) {
    const family = isIP(text);
    // An address with a zone, or an IPv4 one written as IPv6, names something else to every reader.
    if (family === 0 || text.includes('%') || ipv4Within(text) !== undefined) {
      throw new RangeError(`IP Address "${text}" parse error during conversion from string`);
    }
    this.family = family as 4 | 6;
    this.text = canonicalAddress(text);
  }

  toString(): string {
    return this.text;
  }
}

/** A range of addresses as expressions hold it. */
class Cidr {
  readonly ip: Ip;
  readonly bits: number;

  constructor(text: string) {
    const [address = '', bits = ''] = text.split('/');
    const problem = new RangeError(`network address parse error during conversion from string: ${text}`);
    if (!/^[0-9]{1,3}$/.test(bits) || isIP(address) === 0) throw problem;
    this.ip = new Ip(address);
    this.bits = Number(bits);
    if (this.bits > (this.ip.family === 4 ? 32 : 128)) throw problem;
  }

  toString(): string {
    return `${this.ip.text}/${this.bits}`;
  }
}

class Url {
  readonly url: URL;
  readonly text: string;

  constructor(text: string) {
    if (text.startsWith('/')) this.url = new URL(text, 'path:/');
    else this.url = new URL(text);
    this.text = text;
  }
}

const parses = (make: () => unknown): boolean => {
  try {
    make();
    return true;
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) return false;
    throw error;
  }
};

function listOf(range: Cidr): BlockList {
  const list = new BlockList();
  list.addSubnet(range.ip.text, range.bits, range.ip.family === 4 ? 'ipv4' : 'ipv6');
  return list;
}

const inside = (range: Cidr, ip: Ip): boolean =>
  range.ip.family === ip.family && listOf(range).check(ip.text, ip.family === 4 ? 'ipv4' : 'ipv6');
const inRange = (ip: Ip, four: string, six: string): boolean =>
  inside(new Cidr(ip.family === 4 ? four : six), ip);

/** Adds `ip()`, `cidr()` and `url()` and what those can do. */
export function addNetwork(env: Environment): void {
  const add = adderTo(env);
  const [ip, cidr, url] = ['net.IP', 'net.CIDR', 'kubernetes.URL'];
  env.registerType(ip, { ctor: Ip, fields: {} });
  env.registerType(cidr, { ctor: Cidr, fields: {} });
  env.registerType(url, { ctor: Url, fields: {} });
  const space = addNamespace(env, 'ip');
  add(`ip(string): ${ip}`, (text: string) => new Ip(text));
  add('isIP(string): bool', (text: string) => parses(() => new Ip(text)));
  add(`${space}.isCanonical(string): bool`, (_: unknown, text: string) => new Ip(text).text === text);
  add(`string(${ip}): string`, String);
  add(`${ip}.family(): int`, (one: Ip) => BigInt(one.family));
  add(`${ip}.isUnspecified(): bool`, (one: Ip) => one.text === '0.0.0.0' || one.text === '::');
  add(`${ip}.isLoopback(): bool`, (one: Ip) => inRange(one, '127.0.0.0/8', '::1/128'));
  add(`${ip}.isLinkLocalMulticast(): bool`, (one: Ip) => inRange(one, '224.0.0.0/24', 'ff02::/16'));
  add(`${ip}.isLinkLocalUnicast(): bool`, (one: Ip) => inRange(one, '169.254.0.0/16', 'fe80::/10'));
  add(
    `${ip}.isGlobalUnicast(): bool`,
    (one: Ip) =>
      one.text !== '255.255.255.255' &&
      one.text !== '0.0.0.0' &&
      one.text !== '::' &&
      !inRange(one, '127.0.0.0/8', '::1/128') &&
      !inRange(one, '224.0.0.0/4', 'ff00::/8') &&
      !inRange(one, '169.254.0.0/16', 'fe80::/10'),
  );
  env.registerOperator(`${ip} == ${ip}`, (a: Ip, b: Ip) => a.text === b.text);
  add(`cidr(string): ${cidr}`, (text: string) => new Cidr(text));
  add('isCIDR(string): bool', (text: string) => parses(() => new Cidr(text)));
  add(`string(${cidr}): string`, String);
  add(`${cidr}.containsIP(${ip}): bool`, inside);
  add(`${cidr}.containsIP(string): bool`, (range: Cidr, text: string) => inside(range, new Ip(text)));
  const covers = (outer: Cidr, inner: Cidr): boolean => inner.bits >= outer.bits && inside(outer, inner.ip);
  add(`${cidr}.containsCIDR(${cidr}): bool`, covers);
  add(`${cidr}.containsCIDR(string): bool`, (outer: Cidr, text: string) => covers(outer, new Cidr(text)));
  add(`${cidr}.ip(): ${ip}`, (range: Cidr) => range.ip);
  add(`${cidr}.prefixLength(): int`, (range: Cidr) => BigInt(range.bits));
  add(
    `${cidr}.masked(): ${cidr}`,
    (range: Cidr) => new Cidr(`${networkAddress(range.ip.text, range.bits)}/${range.bits}`),
  );
  env.registerOperator(`${cidr} == ${cidr}`, (a: Cidr, b: Cidr) => String(a) === String(b));
  add(`url(string): ${url}`, (text: string) => new Url(text));
  add('isURL(string): bool', (text: string) => parses(() => new Url(text)));
  const part = (name: string, read: (one: URL) => unknown): void => {
    add(`${url}.${name}(): ${name === 'getQuery' ? 'map' : 'string'}`, (one: Url) => read(one.url));
  };
  part('getScheme', (one) => (one.protocol === 'path:' ? '' : one.protocol.slice(0, -1)));
  part('getHost', (one) => one.host);
  part('getHostname', (one) => one.hostname.replace(/^\[(.*)\]$/, '$1'));
  part('getPort', (one) => one.port);
  part('getEscapedPath', (one) => one.pathname);
  part('getQuery', (one) => {
    const query = Object.create(null) as Record<string, string[]>;
    for (const key of one.searchParams.keys()) query[key] = one.searchParams.getAll(key);
    return query;
  });
}
