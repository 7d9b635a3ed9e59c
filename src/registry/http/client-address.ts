import { BlockList, isIP } from 'node:net';

/** Addresses in `X-Forwarded-For` looked at: real chains have two or three, and anybody may write what he likes in front. */
const HOPS = 20;

/**
 * Reads the proxies in front: addresses such as `10.0.0.1`, networks such as `10.0.0.0/8` and `fd00::/8`.
 *
 * @throws Error for what is neither
 */
export function trustedProxies(list: readonly string[]): BlockList {
  const trusted = new BlockList();
  for (const text of list) {
    const [address = '', bits] = text.split('/');
    const family = isIP(address);
    const most = family === 4 ? 32 : 128;
    const prefix = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : most + 1;
    if (family === 0 || prefix > most || text.split('/').length > 2) {
      throw new Error(`Cannot trust proxy "${text}": not an address or a network like 10.0.0.0/8`);
    }
    trusted.addSubnet(address, prefix, family === 4 ? 'ipv4' : 'ipv6');
  }
  return trusted;
}

/**
 * Returns the address that a request comes from: that of the connection, or, when a trusted proxy is at its other end, the
 * last one in `X-Forwarded-For` that no trusted proxy has. What stands further left was written by the client itself.
 */
export function clientAddress(
  connection: string,
  forwardedFor: string | readonly string[] | undefined,
  trusted: BlockList,
): string {
  let client = plain(connection);
  if (forwardedFor === undefined) return client;
  const text = typeof forwardedFor === 'string' ? forwardedFor : forwardedFor.join(',');
  for (const hop of text.split(',').slice(-HOPS).reverse()) {
    if (!isTrusted(client, trusted)) return client;
    const address = withoutPort(hop.trim());
    if (isIP(address) === 0) return client;
    client = plain(address);
  }
  return client;
}

/** Tells whether a connection comes from a trusted proxy, so that what it says of its client is believed. */
export function isTrustedProxy(connection: string, trusted: BlockList): boolean {
  return isTrusted(plain(connection), trusted);
}

function isTrusted(address: string, trusted: BlockList): boolean {
  const family = isIP(address);
  return family !== 0 && trusted.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** An IPv4 address that comes over an IPv6 socket is still the same client. */
function plain(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  return mapped ?? address;
}

/** Some proxies write the port too: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function withoutPort(text: string): string {
  return /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text)?.[1] ?? text;
}
