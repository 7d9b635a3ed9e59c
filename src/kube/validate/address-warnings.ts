import { isIP } from 'node:net';
import { goQuote } from '../../base/go-quote.ts';
import { canonicalAddress, ipv4Within, networkAddress } from '../ip-address.ts';

/** Returns texts for a valid address that others may read in another way. */
export function addressWarnings(address: string, at: string): string[] {
  const family = isIP(address);
  if (family === 0) return [];
  const usual = canonicalAddress(address);
  if (ipv4Within(address) !== undefined) {
    return [
      `${at}: non-standard IP address ${goQuote(address)} will be considered invalid in a future Kubernetes release: use ${goQuote(usual)}`,
    ];
  }
  if (family === 4 || usual === address) return [];
  return [
    `${at}: IPv6 address ${goQuote(address)} should be in RFC 5952 canonical format (${goQuote(usual)})`,
  ];
}

/** Returns texts for a valid range of addresses that others may read in another way. */
export function rangeWarnings(range: string, at: string): string[] {
  const [address = '', length = ''] = range.split('/');
  if (isIP(address) === 0 || !/^\d{1,3}$/.test(length)) return [];
  const inside = ipv4Within(address) !== undefined;
  const usual = canonicalAddress(address);
  const size = isIP(usual) === 4 ? 32 : 128;
  // A range of IPv4 written as IPv6 counts the 96 bits before it.
  const bits = Number(length) - (inside ? 96 : 0);
  if (bits < 0 || bits > size) return [];
  const network = networkAddress(usual, bits);
  const warnings: string[] = [];
  if (network !== usual) {
    warnings.push(
      `${at}: CIDR value ${goQuote(range)} is ambiguous in this context (should be ${goQuote(`${network}/${bits}`)} or ${goQuote(`${usual}/${size}`)}?)`,
    );
  }
  if (inside) {
    warnings.push(
      `${at}: non-standard CIDR value ${goQuote(range)} will be considered invalid in a future Kubernetes release: use ${goQuote(`${network}/${bits}`)}`,
    );
  }
  const written = `${usual}/${bits}`;
  if (warnings.length === 0 && size === 128 && written !== range) {
    warnings.push(
      `${at}: IPv6 CIDR value ${goQuote(range)} should be in RFC 5952 canonical format (${goQuote(written)})`,
    );
  }
  return warnings;
}
