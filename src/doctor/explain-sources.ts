import type { KnownTag } from '../admission/better-tag.ts';
import { CodedError } from '../base/coded-error.ts';
import type { NodeEntries, ProviderEntries } from '../credentials/candidates.ts';
import type { Secret, ServiceAccount } from '../kube/secret.ts';
import type { ImageAllowlist } from '../kubelet/images/image-allowlist.ts';
import type { VerificationPolicy } from '../kubelet/images/verification-policy.ts';
import type { HostResolver } from '../remote/host-config.ts';

/** A fact that is there and that whoever asks may not read; the node may. */
export class SourceError extends CodedError<'FORBIDDEN'> {}

/** Where explanations look things up: a set of files, or a cluster. */
export interface ExplainSources {
  /** Says in one phrase where the facts come from: `the files given`, `cluster kind-dev`. */
  readonly description: string;
  /** @throws SourceError when whoever asks may not read it */
  secret(namespace: string, name: string, signal: AbortSignal): Promise<Secret | undefined>;
  /** @throws SourceError when whoever asks may not read it */
  serviceAccount(namespace: string, name: string, signal: AbortSignal): Promise<ServiceAccount | undefined>;
  /** All pull secrets that may be read, of this namespace at least; the same array each time. */
  knownSecrets?(namespace: string, signal: AbortSignal): Promise<readonly Secret[]>;
  /** Tags of a repository (`registry.example/team/app`), as far as they are known. */
  tags?(repository: string, signal: AbortSignal): Promise<readonly KnownTag[] | undefined>;
  /** How the node reaches registries. */
  readonly hosts?: HostResolver;
  /** The node's login files; absent when no node is meant. */
  readonly nodeFiles?: NodeEntries;
  readonly providers?: ProviderEntries;
  readonly verification: { readonly policy: VerificationPolicy; readonly allowlist: ImageAllowlist };
  /** Whether the AlwaysPullImages admission is on. */
  readonly alwaysPullImages: boolean;
  /** Milliseconds since the epoch, for the age of secrets; the system's clock when absent. */
  readonly now?: number;
}
