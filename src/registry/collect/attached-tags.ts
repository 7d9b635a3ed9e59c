import { algorithmOf, hexOf, type Digest } from '../../oci/digest.ts';

/*
 * Clients that know no referrers API keep what belongs to an image under a tag that is made of the image's digest:
 *
 * tag := algorithm "-" hex ["." kind]      hex: the first 64 digits; kind: sig, att, sbom, …
 *
 * Such a tag is no version of anything: it stays and goes with its image.
 */

/** @see OCI distribution-spec v1.1.1, "Referrers Tag Schema"; cosign, "Storage Specification" */
const NAME = /^(sha(?:256|384|512)-[0-9a-f]{64})(?:\.[A-Za-z0-9]+)?$/;

/** Tells whether a tag is named after a digest. */
export function isAttachedTag(name: string): boolean {
  return NAME.test(name);
}

/** Returns what finds the manifest, of those given, that a tag is named after. */
export function subjectFinder(digests: Iterable<Digest>): (tag: string) => Digest | undefined {
  const named = new Map<string, Digest>();
  for (const digest of digests) named.set(`${algorithmOf(digest)}-${hexOf(digest).slice(0, 64)}`, digest);
  return (tag) => named.get(NAME.exec(tag)?.[1] ?? '');
}
