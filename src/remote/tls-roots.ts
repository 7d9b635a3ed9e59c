import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import type { RegistryHost } from './host-config.ts';

/** Trust and identity towards one host; what remains of a {@link RegistryHost} once the address is taken away. */
export type TlsSettings = Pick<RegistryHost, 'ca' | 'clientCertificates' | 'skipVerify'>;

export const NO_TLS_SETTINGS: TlsSettings = { ca: [], clientCertificates: [], skipVerify: false };

let roots: readonly string[] | undefined;

/** Returns the machine's trusted roots, and Node's own where the machine has none; read once, on first use. */
function systemRoots(): readonly string[] {
  if (roots !== undefined) return roots;
  const system = getCACertificates('system');
  const own = system.length > 0 ? system : getCACertificates('bundled');
  // Machines list each authority several times, as a file of its own and in bundles; reading each once is what takes time.
  roots = [...new Set([...own, ...getCACertificates('extra')])];
  return roots;
}

/** Makes the TLS context for a host: system roots plus its own, and its client certificates (rule 16.10). */
export function secureContextFor(settings: TlsSettings): SecureContext {
  return createSecureContext({
    ca: settings.skipVerify ? [...settings.ca] : [...systemRoots(), ...settings.ca],
    cert: settings.clientCertificates.map((pair) => pair.cert),
    key: settings.clientCertificates.map((pair) => pair.key),
    minVersion: 'TLSv1.2',
  });
}
