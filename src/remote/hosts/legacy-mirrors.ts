import type { RegistryHost } from '../host-config.ts';
import { isLoopback } from '../realm.ts';
import { splitHost } from '../dial-error.ts';
import { HostConfigError } from './host-config-error.ts';
import { defaultHost, withScheme } from './default-host.ts';

/** containerd's old inline mirrors: registry name (or `*`) to endpoints. */
export type LegacyMirrors = Readonly<Record<string, readonly string[]>>;

/**
 * Returns the hosts of a registry under the old form: endpoints in order, then the registry itself unless it is among them
 * (rule 16.17).
 *
 * @throws HostConfigError `BAD_FILE` for an endpoint that is no address
 */
export function legacyHosts(
  registry: string,
  mirrors: LegacyMirrors,
  insecure: readonly string[],
): RegistryHost[] {
  const own = Object.hasOwn(mirrors, registry) ? mirrors[registry] : undefined;
  const endpoints = own ?? (Object.hasOwn(mirrors, '*') ? mirrors['*'] : undefined) ?? [];
  const upstream = defaultHost(registry, insecure);
  const hosts = endpoints.map((endpoint) => endpointHost(endpoint, upstream.host));
  return hosts.some((host) => host.host === upstream.host) ? hosts : [...hosts, upstream];
}

function endpointHost(endpoint: string, upstream: string): RegistryHost {
  const withoutScheme = endpoint.replace(/^https?:\/\//, '');
  const name = splitHost(withoutScheme.split('/', 1)[0] ?? '', 443).name;
  const written = /^(https?):/.exec(endpoint)?.[1];
  const scheme = written === 'http' || written === 'https' ? written : isLoopback(name) ? 'http' : 'https';
  const slash = withoutScheme.indexOf('/');
  const host = slash < 0 ? withoutScheme : withoutScheme.slice(0, slash);
  if (host === '' || URL.parse(`${scheme}://${host}`) === null)
    throw new HostConfigError('BAD_FILE', `mirror endpoint "${endpoint}" is no address`);
  const path = (slash < 0 ? '' : withoutScheme.slice(slash)).replace(/\/+$/, '');
  const base = { ...defaultHost(host), mirror: host !== upstream };
  return {
    ...withScheme(base, scheme, scheme === 'https' && isLoopback(name)),
    path: path.endsWith('/v2') ? path : `${path}/v2`,
  };
}
