import { isIP } from 'node:net';

/** An IPv4 address written as IPv6. */
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** Returns an address as everybody would write it; IPv6 by RFC 5952, IPv4 in IPv6 as the IPv4 that it is. */
export function canonicalAddress(address: string): string {
  const inside = ipv4Within(address);
  if (inside !== undefined) return inside;
  return isIP(address) === 6 ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
}

/** Returns the IPv4 address that is written as IPv6; `undefined` for all others. */
export function ipv4Within(address: string): string | undefined {
  return MAPPED.exec(address)?.[1];
}

/** Returns the first address of the network with so many leading bits of `address`, which is canonical. */
export function networkAddress(address: string, bits: number): string {
  const size = isIP(address) === 4 ? 32 : 128;
  const free = BigInt(size - bits);
  const kept = ((size === 32 ? bits4(address) : bits6(address)) >> free) << free;
  if (size === 32) return [24n, 16n, 8n, 0n].map((shift) => (kept >> shift) & 255n).join('.');
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((kept >> BigInt(112 - index * 16)) & 0xffffn).toString(16),
  );
  return canonicalAddress(groups.join(':'));
}

function bits4(text: string): bigint {
  return text.split('.').reduce((value, part) => (value << 8n) | BigInt(part), 0n);
}

function bits6(text: string): bigint {
  const [head = '', tail] = text.split('::');
  const groups = (half: string | undefined): string[] =>
    half === undefined || half === '' ? [] : half.split(':');
  const [front, back] = [groups(head), groups(tail)];
  const middle = Array.from({ length: 8 - front.length - back.length }, () => '0');
  return [...front, ...middle, ...back].reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}
