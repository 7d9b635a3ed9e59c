import type { Digest } from '../../oci/digest.ts';

/** What is known of a tag of an upstream. */
export interface UpstreamTag {
  readonly checkedAt: number;
  /** Undefined when the upstream had no such tag. */
  readonly digest: Digest | undefined;
}

/** What a pull-through cache remembers beside content, shared by all processes. */
export interface UpstreamIndex {
  findUpstreamTag(repository: string, tag: string): Promise<UpstreamTag | undefined>;
  setUpstreamTag(repository: string, tag: string, known: UpstreamTag): Promise<void>;
  /** Points a tag at a manifest that is here already; false when it is not. */
  pointTag(repository: string, tag: string, digest: Digest): Promise<boolean>;
  /** Manifests of a repository that name a digest. */
  manifestsNaming(repository: string, digest: Digest): Promise<Digest[]>;
}
