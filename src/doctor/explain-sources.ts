import type { NodeEntries, ProviderEntries } from '../credentials/candidates.ts';
import type { Secret, ServiceAccount } from '../kube/secret.ts';
import type { ImageAllowlist } from '../kubelet/images/image-allowlist.ts';
import type { VerificationPolicy } from '../kubelet/images/verification-policy.ts';

/** Where explanations look things up: a set of files, or a cluster. */
export interface ExplainSources {
  /** Says in one phrase where the facts come from: `the files given`, `cluster kind-dev`. */
  readonly description: string;
  secret(namespace: string, name: string, signal: AbortSignal): Promise<Secret | undefined>;
  serviceAccount(namespace: string, name: string, signal: AbortSignal): Promise<ServiceAccount | undefined>;
  /** The node's login files; absent when no node is meant. */
  readonly nodeFiles?: NodeEntries;
  readonly providers?: ProviderEntries;
  readonly verification: { readonly policy: VerificationPolicy; readonly allowlist: ImageAllowlist };
  /** Whether the AlwaysPullImages admission is on. */
  readonly alwaysPullImages: boolean;
}
