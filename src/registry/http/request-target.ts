import { isDigest, parseDigest, type Digest } from '../../oci/digest.ts';
import { RegistryError } from '../registry-error.ts';
import { isRepositoryName, isTag } from '../repository-name.ts';

/*
 * GET|HEAD              /v2/
 * GET                   /v2/_catalog?n&last
 * GET                   /v2/<name>/tags/list?n&last
 * GET|HEAD|PUT|DELETE   /v2/<name>/manifests/<tag or digest>?tag
 * GET|HEAD|DELETE       /v2/<name>/blobs/<digest>
 * POST                  /v2/<name>/blobs/uploads/?digest | ?mount[&from] | ?digest-algorithm
 * GET|PATCH|PUT|DELETE  /v2/<name>/blobs/uploads/<id>?digest
 * GET                   /v2/<name>/referrers/<digest>?artifactType&n&last
 *
 * A name may itself contain words such as "blobs", so a path is read from its end.
 */

/** What a page of a listing was asked for. */
export interface Page {
  /** Absent: as many as the server thinks right. */
  readonly limit?: number;
  /** Return what sorts after this. */
  readonly after: string;
}

export type ManifestReference =
  | { readonly by: 'tag'; readonly tag: string }
  | { readonly by: 'digest'; readonly digest: Digest };

interface InRepository {
  readonly repository: string;
}

/** One request to the registry, parsed. Nothing behind this reads the URL. */
export type RegistryRequest =
  | { readonly kind: 'ping' }
  | { readonly kind: 'catalog'; readonly page: Page }
  | (InRepository & { readonly kind: 'tags'; readonly page: Page })
  | (InRepository & {
      readonly kind: 'referrers';
      readonly subject: Digest;
      readonly artifactType?: string;
      readonly page: Page;
    })
  | (InRepository & { readonly kind: 'getManifest'; readonly reference: ManifestReference })
  | (InRepository & {
      readonly kind: 'putManifest';
      readonly reference: ManifestReference;
      readonly tags: readonly string[];
    })
  | (InRepository & { readonly kind: 'deleteManifest'; readonly reference: ManifestReference })
  | (InRepository & { readonly kind: 'getBlob'; readonly digest: Digest })
  | (InRepository & { readonly kind: 'deleteBlob'; readonly digest: Digest })
  | (InRepository & { readonly kind: 'startUpload'; readonly algorithm: string })
  | (InRepository & { readonly kind: 'pushBlob'; readonly digest: Digest })
  | (InRepository & { readonly kind: 'mountBlob'; readonly digest: Digest; readonly from?: string })
  | (InRepository & { readonly kind: 'uploadStatus'; readonly upload: string })
  | (InRepository & { readonly kind: 'appendUpload'; readonly upload: string })
  | (InRepository & { readonly kind: 'finishUpload'; readonly upload: string; readonly digest: Digest })
  | (InRepository & { readonly kind: 'cancelUpload'; readonly upload: string });

/** Longest request target: a name, a digest and a Docker-style `state` fit many times over. */
const TARGET_LIMIT = 8 * 1024;
/** Upload IDs are UUIDs that this server made. */
const UPLOAD_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Tags that one PUT by digest may set; the specification's draft asks for at least 10. */
const TAGS_PER_PUT = 32;

/**
 * Parses method and request target of anything below `/v2/`. HEAD is GET without a body.
 *
 * @throws RegistryError `NOT_FOUND`, `UNSUPPORTED`, `NAME_INVALID`, `TAG_INVALID`, `DIGEST_INVALID`,
 *   `BLOB_UPLOAD_UNKNOWN`, `PAGINATION_NUMBER_INVALID`
 */
export function parseRequestTarget(method: string, target: string): RegistryRequest {
  if (target.length > TARGET_LIMIT) throw notFound();
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  const query = new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1));
  const verb = method === 'HEAD' ? 'GET' : method;
  if (path === '/v2/' || path === '/v2') return allow(verb, { GET: () => ({ kind: 'ping' }) });
  if (!path.startsWith('/v2/')) throw notFound();
  if (path === '/v2/_catalog') return allow(verb, { GET: () => ({ kind: 'catalog', page: pageOf(query) }) });
  const segments = path.slice('/v2/'.length).split('/').map(decodeSegment);
  return parseInRepository(verb, segments, query);
}

function parseInRepository(verb: string, segments: string[], query: URLSearchParams): RegistryRequest {
  const last = segments.at(-1) ?? '';
  const second = segments.at(-2);
  const third = segments.at(-3);
  if (second === 'blobs' && third !== undefined && last === 'uploads') {
    return startUpload(verb, nameOf(segments, 2), query);
  }
  if (third === 'blobs' && second === 'uploads' && segments.length > 3) {
    const repository = nameOf(segments, 3);
    return last === '' ? startUpload(verb, repository, query) : anUpload(verb, repository, last, query);
  }
  if (second === 'tags' && last === 'list') {
    const repository = nameOf(segments, 2);
    return allow(verb, { GET: () => ({ kind: 'tags', repository, page: pageOf(query) }) });
  }
  if (second === 'manifests') return aManifest(verb, nameOf(segments, 2), last, query);
  if (second === 'blobs') {
    const repository = nameOf(segments, 2);
    return allow(verb, {
      GET: () => ({ kind: 'getBlob', repository, digest: digestParameter(last) }),
      DELETE: () => ({ kind: 'deleteBlob', repository, digest: digestParameter(last) }),
    });
  }
  if (second === 'referrers') return theReferrers(verb, nameOf(segments, 2), last, query);
  throw notFound();
}

function theReferrers(
  verb: string,
  repository: string,
  digest: string,
  query: URLSearchParams,
): RegistryRequest {
  const artifactType = query.get('artifactType');
  return allow(verb, {
    GET: () => ({
      kind: 'referrers',
      repository,
      subject: digestParameter(digest),
      page: pageOf(query),
      ...(artifactType === null || artifactType === '' ? {} : { artifactType }),
    }),
  });
}

function aManifest(verb: string, repository: string, text: string, query: URLSearchParams): RegistryRequest {
  return allow(verb, {
    GET: () => ({ kind: 'getManifest', repository, reference: manifestReference(text) }),
    PUT: () => {
      const reference = manifestReference(text);
      const tags = query.getAll('tag');
      if (tags.length > 0 && reference.by === 'tag') {
        throw new RegistryError('TAG_INVALID', 'the parameter "tag" belongs to a push by digest');
      }
      if (tags.length > TAGS_PER_PUT) {
        throw new RegistryError('TAG_INVALID', `at most ${TAGS_PER_PUT} tags can be set at once`, {
          status: 414,
        });
      }
      for (const tag of tags) checkTag(tag);
      return { kind: 'putManifest', repository, reference, tags: [...new Set(tags)] };
    },
    DELETE: () => ({ kind: 'deleteManifest', repository, reference: manifestReference(text) }),
  });
}

function startUpload(verb: string, repository: string, query: URLSearchParams): RegistryRequest {
  return allow(verb, {
    POST: () => {
      const mount = query.get('mount');
      const from = query.get('from');
      if (mount !== null && isDigest(mount)) {
        // A source that is no name can hold nothing, and a failed mount is an upload, never an error.
        const source = from !== null && from !== '' ? (isRepositoryName(from) ? { from } : undefined) : {};
        if (source !== undefined) return { kind: 'mountBlob', repository, digest: mount, ...source };
      }
      const digest = query.get('digest');
      if (digest !== null) return { kind: 'pushBlob', repository, digest: digestParameter(digest) };
      const algorithm = query.get('digest-algorithm') ?? 'sha256';
      if (!['sha256', 'sha384', 'sha512'].includes(algorithm)) {
        throw new RegistryError('DIGEST_INVALID', `unsupported digest algorithm "${algorithm}"`);
      }
      return { kind: 'startUpload', repository, algorithm };
    },
  });
}

function anUpload(verb: string, repository: string, upload: string, query: URLSearchParams): RegistryRequest {
  if (!UPLOAD_ID.test(upload))
    throw new RegistryError('BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry');
  return allow(verb, {
    GET: () => ({ kind: 'uploadStatus', repository, upload }),
    PATCH: () => ({ kind: 'appendUpload', repository, upload }),
    PUT: () => ({
      kind: 'finishUpload',
      repository,
      upload,
      digest: digestParameter(query.get('digest') ?? ''),
    }),
    DELETE: () => ({ kind: 'cancelUpload', repository, upload }),
  });
}

function manifestReference(text: string): ManifestReference {
  if (text.includes(':')) return { by: 'digest', digest: digestParameter(text) };
  checkTag(text);
  return { by: 'tag', tag: text };
}

function checkTag(tag: string): void {
  if (!isTag(tag))
    throw new RegistryError('TAG_INVALID', 'manifest tag did not match the grammar', { detail: { tag } });
}

function digestParameter(text: string): Digest {
  try {
    return parseDigest(text);
  } catch (cause) {
    throw new RegistryError('DIGEST_INVALID', 'provided digest is not a digest', {
      cause,
      detail: { digest: text },
    });
  }
}

function nameOf(segments: string[], tail: number): string {
  const name = segments.slice(0, -tail).join('/');
  if (!isRepositoryName(name)) {
    throw new RegistryError('NAME_INVALID', 'invalid repository name', { detail: { name } });
  }
  return name;
}

function pageOf(query: URLSearchParams): Page {
  const n = query.get('n');
  const after = query.get('last') ?? '';
  if (n === null || n === '') return { after };
  if (!/^\d+$/.test(n)) {
    throw new RegistryError('PAGINATION_NUMBER_INVALID', 'invalid number of results requested', {
      detail: { n },
    });
  }
  return { limit: Math.min(Number(n), Number.MAX_SAFE_INTEGER), after };
}

/** Decodes one segment. A segment that hides a slash or is not UTF-8 names nothing that could be here. */
function decodeSegment(segment: string): string {
  if (!segment.includes('%')) return segment;
  let decoded: string;
  try {
    decoded = decodeURIComponent(segment);
  } catch {
    throw new RegistryError('NAME_INVALID', 'invalid percent-encoding in path');
  }
  if (decoded.includes('/')) throw new RegistryError('NAME_INVALID', 'encoded slash in path');
  return decoded;
}

function allow(verb: string, methods: Readonly<Record<string, () => RegistryRequest>>): RegistryRequest {
  const parse = Object.hasOwn(methods, verb) ? methods[verb] : undefined;
  if (parse === undefined) {
    const allowed = Object.keys(methods).flatMap((name) => (name === 'GET' ? ['GET', 'HEAD'] : [name]));
    throw new RegistryError('UNSUPPORTED', 'the operation is unsupported', {
      headers: { Allow: allowed.join(', ') },
    });
  }
  return parse();
}

function notFound(): RegistryError {
  return new RegistryError('NOT_FOUND', 'no such resource');
}
