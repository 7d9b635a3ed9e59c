import { ContentError } from '../../content/content-error.ts';
import { digestOf, algorithmOf, type Digest } from '../../oci/digest.ts';
import { commitManifest } from '../commit-manifest.ts';
import { parseManifestDocument } from '../manifest-document.ts';
import { tagProtection, type TagProtection } from '../policy.ts';
import { nameUnknown } from '../unknown-content.ts';
import { governingProject } from '../project-policies.ts';
import { RegistryError } from '../registry-error.ts';
import type { RegistryEvent } from '../webhooks/registry-event.ts';
import { emptyAnswer, type Answer } from './answer.ts';
import { contentAnswer, contentConditions, deleted } from './content-answer.ts';
import type { Exchange, Service } from './exchange.ts';
import { readBounded } from './read-bounded.ts';
import type { ManifestReference } from './request-target.ts';

/** Largest manifest taken, as the specification asks for at least. */
export const MANIFEST_LIMIT = 4 * 1024 * 1024;
/** Blobs named in one refusal: a client pushes all of them anyway, and the answer must not grow with what is sent. */
const MISSING_LIMIT = 100;
/** A tag may move at any time, so it is asked for again each time; what a digest names does not change. */
const TAG_CACHE = 'private, no-cache';
const DIGEST_CACHE = 'private, max-age=31536000, immutable';

/** GET and HEAD of a manifest. Its type is what was pushed, whatever the client accepts. */
export async function getManifest(
  service: Service,
  { message }: Exchange,
  { repository, reference }: { repository: string; reference: ManifestReference },
): Promise<Answer> {
  const record = await service.metadata.manifests.findManifest(repository, reference);
  if (record === undefined) throw await manifestUnknown(service, repository, reference);
  const { digest, mediaType, size } = record;
  // A client that hears of a child does not push it again before it pushes the index.
  if (message.method === 'HEAD' && record.renewedAt + service.renewAfterMs < service.clock.now()) {
    await service.metadata.manifests.renewManifest(repository, digest);
  }
  const cacheControl = reference.by === 'tag' ? TAG_CACHE : DIGEST_CACHE;
  const open = async (range?: { offset: number; length: number }): Promise<Uint8Array> => {
    const bytes = await service.manifestBytes.read(digest);
    return range === undefined ? bytes : bytes.subarray(range.offset, range.offset + range.length);
  };
  try {
    return await contentAnswer({ digest, size, mediaType, cacheControl, open }, contentConditions(message));
  } catch (error) {
    const isLost =
      error instanceof ContentError && (error.code === 'NOT_FOUND' || error.code === 'DIGEST_MISMATCH');
    if (!isLost) throw error;
    service.logger.error(
      { repository, digest, reason: error.message },
      'manifest is recorded but cannot be read',
    );
    throw await manifestUnknown(service, repository, reference);
  }
}

/** PUT of a manifest. @see OCI distribution-spec v1.1.1, "Pushing Manifests" */
export async function putManifest(
  service: Service,
  exchange: Exchange,
  {
    repository,
    reference,
    tags,
  }: { repository: string; reference: ManifestReference; tags: readonly string[] },
): Promise<Answer> {
  const { message, caller } = exchange;
  const bytes = await readBounded(message, MANIFEST_LIMIT);
  const facts = parseManifestDocument(bytes, message.headers['content-type']);
  const digest = digestFor(reference, bytes);
  const result = await commitManifest(service, bytes, {
    ...facts,
    repository,
    digest,
    size: bytes.length,
    tags: reference.by === 'tag' ? [reference.tag] : tags,
    account: caller.identity.account,
    sparse: service.sparseIndexes,
    protection: await protectionIn(service, repository),
  });
  if (result.kind === 'fixed') {
    throw new RegistryError('DENIED', `tag "${result.tag}" is immutable and points at other content`, {
      detail: { tag: result.tag, digest: result.digest },
    });
  }
  if (result.kind === 'missing') {
    throw new RegistryError('MANIFEST_BLOB_UNKNOWN', 'blob unknown to registry', {
      details: result.digests.slice(0, MISSING_LIMIT).map((missing) => ({ digest: missing })),
    });
  }
  await service.notify({
    ...eventOf(exchange, 'push', repository, reference),
    digest,
    mediaType: facts.mediaType,
    size: bytes.length,
  });
  return emptyAnswer(201, {
    Location: `/v2/${repository}/manifests/${digest}`,
    'Docker-Content-Digest': digest,
    ...(facts.subject === undefined ? {} : { 'OCI-Subject': facts.subject }),
    ...(tags.length === 0 ? {} : { 'OCI-Tag': tags.join(', ') }),
    ...(result.absent.length === 0
      ? {}
      : { Warning: absentWarning(result.absent.length, facts.manifests.length) }),
  });
}

/** DELETE of a manifest with all its tags, or of one tag. */
export async function deleteManifest(
  service: Service,
  exchange: Exchange,
  { repository, reference }: { repository: string; reference: ManifestReference },
): Promise<Answer> {
  const { manifests } = service.metadata;
  const protection = await protectionIn(service, repository);
  const result =
    reference.by === 'tag'
      ? await manifests.deleteTag(repository, reference.tag, protection)
      : await manifests.deleteManifest(repository, reference.digest, protection);
  switch (result.kind) {
    case 'removed':
      await service.notify(eventOf(exchange, 'delete', repository, reference));
      return deleted();
    case 'unknown':
      throw await manifestUnknown(service, repository, reference);
    case 'fixed':
      throw new RegistryError('DENIED', `tag "${result.tag}" is immutable`, { detail: { tag: result.tag } });
  }
}

async function protectionIn(service: Service, repository: string): Promise<(tag: string) => TagProtection> {
  const { policy } = await governingProject(service.metadata.projects, repository);
  return (tag) => tagProtection(policy, repository, tag);
}

function digestFor(reference: ManifestReference, bytes: Uint8Array): Digest {
  if (reference.by === 'tag') return digestOf(bytes);
  const digest = digestOf(bytes, algorithmOf(reference.digest));
  if (digest === reference.digest) return digest;
  throw new RegistryError('DIGEST_INVALID', 'provided digest did not match uploaded content', {
    detail: { digest: reference.digest },
  });
}

async function manifestUnknown(
  service: Service,
  repository: string,
  reference: ManifestReference,
): Promise<RegistryError> {
  if (!(await service.metadata.listing.hasRepository(repository))) return nameUnknown(repository);
  const detail = reference.by === 'tag' ? { tag: reference.tag } : { digest: reference.digest };
  return new RegistryError('MANIFEST_UNKNOWN', 'manifest unknown', { detail });
}

function absentWarning(absent: number, children: number): string {
  return `299 - "${absent} of ${children} manifests of this index are not in the repository"`;
}

function eventOf(
  { trail }: Exchange,
  action: 'push' | 'delete',
  repository: string,
  reference: ManifestReference,
): RegistryEvent {
  const { account: actor, address, id: request } = trail;
  const named = reference.by === 'tag' ? { tag: reference.tag } : { digest: reference.digest };
  return { action, repository, actor, address, request, ...named };
}
