import type { TraceStep } from '../../base/trace.ts';
import { parseNormalizedReference } from '../../oci/reference.ts';
import type { PodIdentity } from '../candidates.ts';
import { describeSource, keyringEntries, lookup } from '../keyring.ts';
import type { CredentialProvidersOptions } from './credential-providers.ts';
import { startCredentialProviders } from './start-credential-providers.ts';

/** How one provider did in a test; holds no credential, only keys. */
export interface ProviderTestResult {
  readonly provider: string;
  /** The pattern that matched; undefined: the provider is not for this image. */
  readonly matched: string | undefined;
  readonly exit: string | undefined;
  readonly stderr: string | undefined;
  readonly error: string | undefined;
  /** Keys that were answered. */
  readonly keys: readonly string[];
  /** How the node would keep the answer; undefined: not at all. */
  readonly cache:
    | { readonly type: 'Image' | 'Registry' | 'Global'; readonly key: string; readonly expiresAt: string }
    | undefined;
  readonly trace: readonly TraceStep[];
}

export interface ProviderTestReport {
  /** Repository as plug-ins are asked for it. */
  readonly image: string;
  readonly providers: readonly ProviderTestResult[];
  /** Credentials that a pull would try, in order. */
  readonly candidates: readonly { readonly key: string; readonly source: string }[];
}

/**
 * Runs the configured plug-ins for an image as a node would, and tells how each did.
 *
 * @param image as a person writes it: `busybox`, `r.io/team/app:v1`
 * @throws ReferenceError for a name that is none; CredentialError `BAD_PROVIDER_CONFIG` where a node would not start
 */
export async function testProviders(
  image: string,
  options: CredentialProvidersOptions & { readonly configPath: string; readonly pod?: PodIdentity },
  signal: AbortSignal,
): Promise<ProviderTestReport> {
  const { domain, path } = parseNormalizedReference(image);
  const repository = `${domain}/${path}`;
  const providers = await startCredentialProviders(options);
  try {
    const outcomes = await providers.ask(repository, options.pod, signal);
    const entries = outcomes.flatMap((outcome) => keyringEntries(outcome.auth, outcome.source));
    return {
      image: repository,
      providers: outcomes.map(({ provider, matched, exit, stderr, error, auth, cache, trace }) => ({
        provider,
        matched,
        exit,
        stderr,
        error: error?.message,
        keys: [...auth.keys()],
        cache: cache && {
          type: cache.scope,
          key: cache.key,
          expiresAt: new Date(cache.expiresAt).toISOString(),
        },
        trace,
      })),
      candidates: lookup(entries, repository).map(({ key, source }) => ({
        key,
        source: describeSource(source),
      })),
    };
  } finally {
    providers.close();
  }
}
