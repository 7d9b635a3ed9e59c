import { http } from '../base/node-http.ts';
import { messageOf } from '../base/coded-error.ts';
import { describeDialFailure, type DialFailure } from './dial-error.ts';

const PROXY_PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443, 'socks5:': 1080 };

/**
 * Describes what went wrong while talking to `host` through a proxy, in Go's words: of a proxy that cannot be reached, and of
 * one that refuses the tunnel. Nothing of the proxy's login is in them.
 */
export function describeProxiedFailure(
  thrown: unknown,
  host: string,
  defaultPort: number,
  proxy: URL,
): DialFailure {
  const status = /^Proxy response \((\d{3})\)|\((407)\)$/.exec(messageOf(thrown));
  if (status !== null) {
    const number = status[1] ?? status[2] ?? '';
    const text = http.STATUS_CODES[number] ?? `proxy answered ${number}`;
    return {
      code: 'UNREACHABLE',
      text,
      transient: number === '502' || number === '504',
      spokePlainHttp: false,
    };
  }
  const dialled = describeDialFailure(thrown, proxy.host, PROXY_PORTS[proxy.protocol] ?? 80);
  if (dialled.text.startsWith('dial tcp')) return { ...dialled, text: `proxyconnect tcp: ${dialled.text}` };
  return describeDialFailure(thrown, host, defaultPort);
}
