import { ContentError } from '../../content/content-error.ts';
import { algorithmOf, hexOf, isDigest, type Digest } from '../../oci/digest.ts';
import { isIndexType, MEDIA_TYPE } from '../../oci/media-type.ts';
import { jsonAnswer, type Answer } from './answer.ts';
import type { Service } from './exchange.ts';
import { nextLink } from './listing-handlers.ts';
import type { Page } from './request-target.ts';

/** Descriptors on one page. Annotations go with each, and the page must stay below a client's 4 MiB. */
const PAGE_LIMIT = 500;
/** Bytes of descriptors after which a page ends early. */
const PAGE_BYTES = 3 * 1024 * 1024;
/** Tags are at most 128 characters, so the fallback tag of a long digest is cut. @see OCI distribution-spec v1.1.1, "Referrers Tag Schema" */
const FALLBACK_HEX = 64;
const FALLBACK_ALGORITHM = 32;

interface ReferrerDescriptor {
  readonly digest: string;
  readonly mediaType: string;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * GET of a subject's referrers, with those that clients listed under its fallback tag.
 *
 * @param elsewhere referrers that an upstream has beside those that are here
 */
export async function listReferrers(
  service: Service,
  request: { repository: string; subject: Digest; artifactType?: string; page: Page },
  elsewhere: readonly ReferrerDescriptor[] = [],
): Promise<Answer> {
  const { repository, subject, artifactType, page } = request;
  const limit = Math.min(Math.max(page.limit ?? PAGE_LIMIT, 1), PAGE_LIMIT);
  const filter = artifactType === undefined ? {} : { artifactType };
  const indexed = await service.metadata.listing.listReferrers(repository, subject, {
    after: page.after,
    limit: limit + 1,
    ...filter,
  });
  const merged = new Map<string, ReferrerDescriptor>();
  for (const one of [...elsewhere, ...(await fallbackReferrers(service, repository, subject))]) {
    if (one.digest > page.after && (artifactType === undefined || one.artifactType === artifactType)) {
      merged.set(one.digest, one);
    }
  }
  for (const { annotations, renewedAt: _, ...referrer } of indexed) {
    const annotated = Object.keys(annotations).length === 0 ? referrer : { ...referrer, annotations };
    merged.set(referrer.digest, annotated);
  }
  const sorted = [...merged.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1));
  const manifests = fitting(sorted.slice(0, limit));
  const more = manifests.length < sorted.length;
  return jsonAnswer(
    200,
    { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests },
    {
      'Content-Type': MEDIA_TYPE.ociIndex,
      ...(artifactType === undefined ? {} : { 'OCI-Filters-Applied': 'artifactType' }),
      ...(more
        ? nextLink(`/v2/${repository}/referrers/${subject}`, limit, manifests.at(-1)?.digest, filter)
        : {}),
    },
  );
}

/** Returns as many descriptors as a page can hold, at least one. */
function fitting(descriptors: readonly ReferrerDescriptor[]): ReferrerDescriptor[] {
  let bytes = 0;
  const over = descriptors.findIndex((descriptor, place) => {
    bytes += JSON.stringify(descriptor).length;
    return bytes > PAGE_BYTES && place > 0;
  });
  return over < 0 ? [...descriptors] : descriptors.slice(0, over);
}

async function fallbackReferrers(
  service: Service,
  repository: string,
  subject: Digest,
): Promise<ReferrerDescriptor[]> {
  const algorithm = algorithmOf(subject).slice(0, FALLBACK_ALGORITHM);
  const tag = `${algorithm}-${hexOf(subject).slice(0, FALLBACK_HEX)}`;
  const record = await service.metadata.manifests.findManifest(repository, { tag });
  if (record === undefined || !isIndexType(record.mediaType)) return [];
  try {
    const index = JSON.parse(Buffer.from(await service.manifestBytes.read(record.digest)).toString()) as {
      manifests: readonly ReferrerDescriptor[] | null;
    };
    // The index was checked when it was pushed: each entry has media type, digest and size.
    return (index.manifests ?? []).filter((descriptor) => isDigest(descriptor.digest));
  } catch (error) {
    // Lost or damaged: what the index of referrers has is listed all the same.
    if (error instanceof ContentError) return [];
    throw error;
  }
}
