import type { Credential } from '../../remote/credential.ts';
import type { HostResolver, RegistryHost } from '../../remote/host-config.ts';
import type { RegistryRequest } from '../http/request-target.ts';

/** A registry whose content is cached below a prefix. */
export interface Upstream {
  /** First part of local repository names: `hub` makes `hub/library/busybox`. */
  readonly prefix: string;
  /** Name of the registry as images name it, also what `?ns=` says: `docker.io`. */
  readonly registry: string;
  /** Where it is; `https://REGISTRY` by default, and docker.io's own address for docker.io. */
  readonly url?: string;
  /** PEM, trusted beside the system's roots. */
  readonly ca?: readonly string[];
  /** Shown to the upstream and to token services of its own domain alone. */
  readonly credential?: { readonly username: string; readonly password: string };
  /** Milliseconds for which a tag is believed without asking again: a minute by default. Digests are believed for ever. */
  readonly recheckMs?: number;
}

/** A repository of an upstream, as it is called here and there. */
export interface UpstreamRepository {
  readonly upstream: Upstream;
  /** `hub/library/busybox` */
  readonly local: string;
  /** `library/busybox` */
  readonly remote: string;
}

/** Returns the upstream repository that a local name stands for; undefined for a repository of our own. */
export function upstreamOf(
  upstreams: readonly Upstream[],
  repository: string,
): UpstreamRepository | undefined {
  for (const upstream of upstreams) {
    if (!repository.startsWith(`${upstream.prefix}/`)) continue;
    const rest = repository.slice(upstream.prefix.length + 1);
    const isOfficial = upstream.registry === 'docker.io' && !rest.includes('/');
    const remote = isOfficial ? `library/${rest}` : rest;
    return { upstream, local: `${upstream.prefix}/${remote}`, remote };
  }
  return undefined;
}

/**
 * Names a request's repository as it is called here: `?ns=docker.io` on `library/busybox` means `hub/library/busybox`, and
 * `hub/busybox` does too. A namespace that no upstream has is left alone: it may be our own name.
 */
export function localRequest(
  upstreams: readonly Upstream[],
  request: RegistryRequest,
  namespace: string | null,
): { request: RegistryRequest; namespace: string | undefined } {
  if (!('repository' in request)) return { request, namespace: undefined };
  const named = upstreams.find(({ registry }) => registry === namespace);
  const name = named === undefined ? request.repository : `${named.prefix}/${request.repository}`;
  const repository = upstreamOf(upstreams, name)?.local ?? request.repository;
  return { request: { ...request, repository }, namespace: named?.registry };
}

/** Makes the resolver by which the client finds upstreams; their names are the prefixes. */
export function upstreamHosts(upstreams: readonly Upstream[]): HostResolver {
  return async (prefix) => {
    const upstream = upstreams.find((one) => one.prefix === prefix);
    if (upstream === undefined) throw new Error(`Cannot find upstream "${prefix}": it is not configured`);
    return [hostOf(upstream)];
  };
}

function hostOf(upstream: Upstream): RegistryHost {
  const home = upstream.registry === 'docker.io' ? 'registry-1.docker.io' : upstream.registry;
  const url = new URL(upstream.url ?? `https://${home}`);
  return {
    host: url.host,
    scheme: url.protocol === 'http:' ? 'http' : 'https',
    path: `${url.pathname.replace(/\/+$/, '')}/v2`,
    capabilities: new Set(['pull', 'resolve', 'referrers']),
    ca: upstream.ca ?? [],
    clientCertificates: [],
    skipVerify: false,
    headers: {},
    mirror: false,
    redirects: 'outside',
  };
}

/** Returns the credential for an upstream. */
export function upstreamCredential(upstream: Upstream): Credential | undefined {
  return upstream.credential && { name: `upstream ${upstream.prefix}`, ...upstream.credential };
}
