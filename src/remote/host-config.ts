/*
 * How to reach a registry from this machine: which hosts to try for a name, over which scheme, trusting whom.
 * `hosts-directory.ts` reads it from containerd's hosts.toml and docker's certs.d (behaviour section 16).
 */

export type HostCapability = 'pull' | 'resolve' | 'push' | 'referrers';

/** One host to try. */
export interface RegistryHost {
  /** `host[:port]` that is contacted. */
  readonly host: string;
  readonly scheme: 'https' | 'http';
  /** Path prefix up to and including the API root: normally `/v2`. */
  readonly path: string;
  readonly capabilities: ReadonlySet<HostCapability>;
  /** PEM; added to the system's roots. */
  readonly ca: readonly string[];
  readonly clientCertificates: readonly { readonly cert: string; readonly key: string }[];
  readonly skipVerify: boolean;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly dialTimeoutMs?: number;
  /** True for a mirror: requests carry `ns=`, and credentials of the origin are withheld unless configured otherwise. */
  readonly mirror: boolean;
  /** With `https`: whether plain http is used when the host answers the TLS greeting with plain text (rule 16.14). */
  readonly fallbackToHttp?: boolean;
  /** `anywhere` by default; `outside` where requests are made for others, who must not be led into this network. */
  readonly redirects?: 'anywhere' | 'outside';
  /** For a mirror: whether it may be shown the credential of the registry it stands for; false when absent. */
  readonly forwardCredentials?: boolean;
  /** Token services in other domains that may be shown the credential, over TLS: hosts, with a port that is not 443. */
  readonly tokenServices?: readonly string[];
}

/** Returns the hosts to try for a registry name, in order; at least one. Files are read anew for each call (16.4). */
export type HostResolver = (registry: string) => Promise<readonly RegistryHost[]>;
