import { isIPv6 } from 'node:net';

/*
 * The two pieces of Go's net/url that decide which keys of a docker config are entries and which are skipped (rule 6.10).
 */

const HOST_CHARS = /^[A-Za-z0-9\-_.~!$&'()*+,;=:[\]<>"\u0080-\uffff]*$/;
const USERINFO_CHARS = /^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/;

/** Reads `[userinfo@]host[:port]` and returns `host[:port]`; undefined when Go refuses it. */
export function parseAuthority(authority: string): string | undefined {
  const at = authority.lastIndexOf('@');
  if (at >= 0) {
    const userinfo = authority.slice(0, at);
    if (!USERINFO_CHARS.test(userinfo) || unescapePath(userinfo) === undefined) return undefined;
  }
  const host = authority.slice(at + 1);
  if (host.includes('[')) return parseBracketed(host);
  const colon = host.lastIndexOf(':');
  if (colon >= 0 && !/^:\d*$/.test(host.slice(colon))) return undefined;
  if (host.indexOf(':') !== colon) return undefined;
  return unescapeHost(host);
}

/** Decodes `%XX`; undefined when an escape is broken. */
export function unescapePath(text: string): string | undefined {
  if (!text.includes('%')) return text;
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return undefined;
  return decodePercent(text);
}

function parseBracketed(host: string): string | undefined {
  const parts = /^\[([^[\]]*)\](:\d*)?$/.exec(host);
  const address = parts?.[1];
  if (parts === null || address === undefined || !isIPv6(address)) return undefined;
  return `[${address}]${parts[2] ?? ''}`;
}

/** In a host only bytes above ASCII may be written as escapes. */
function unescapeHost(host: string): string | undefined {
  if (/%(?![89A-Fa-f][0-9A-Fa-f])/.test(host)) return undefined;
  if (!HOST_CHARS.test(host.replaceAll(/%../g, ''))) return undefined;
  return decodePercent(host);
}

function decodePercent(text: string): string {
  if (!text.includes('%')) return text;
  return text.replaceAll(/(?:%[0-9A-Fa-f]{2})+/g, (run) =>
    Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'),
  );
}
