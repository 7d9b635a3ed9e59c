import { algorithmOf, digestOf, hexOf, type Digest } from '../oci/digest.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { parseManifest } from '../oci/manifest.ts';
import { MEDIA_TYPE } from '../oci/media-type.ts';
import { drain, headerOf, readBody } from './exchange.ts';
import { pushManifest } from './push-manifest.ts';
import { unexpectedStatus } from './registry-answer.ts';
import { RemoteError } from './remote-error.ts';
import { MAX_RESOLVED_MANIFEST_BYTES } from './resolve.ts';
import type { HostSession, RepositorySession } from './repository-session.ts';

/** Pages of a referrers list that are followed; each holds up to a manifest's size. */
const MAX_PAGES = 20;

/** Returns the tag under which registries without the referrers API keep a subject's list. @see OCI distribution-spec v1.1.1, "Referrers Tag Schema" */
export function referrersTag(subject: Digest): string {
  return `${algorithmOf(subject).slice(0, 32)}-${hexOf(subject).slice(0, 64)}`;
}

/**
 * Lists what refers to a manifest: by the referrers API, or from the fall-back tag where there is none. A subject nobody refers
 * to has an empty list.
 *
 * @param artifactType keeps only referrers of this type
 * @throws RemoteError
 */
export async function listReferrers(
  session: RepositorySession,
  subject: Digest,
  artifactType: string | undefined,
  signal: AbortSignal,
): Promise<readonly Descriptor[]> {
  const hosts = (await session.hosts()).filter(({ host }) => host.capabilities.has('referrers'));
  const found: Descriptor[] = [];
  for (const [index, host] of hosts.entries()) {
    const last = index === hosts.length - 1;
    let path: string | undefined = `referrers/${subject}`;
    let query: Readonly<Record<string, string>> = artifactType === undefined ? {} : { artifactType };
    for (let page = 0; path !== undefined && page < MAX_PAGES; page++) {
      const answer = await session.send(
        host,
        { method: 'GET', path, query, headers: { accept: MEDIA_TYPE.ociIndex } },
        last,
        signal,
      );
      if (answer.status === 404) {
        await drain(answer);
        found.push(...((await readIndex(session, host, referrersTag(subject), signal)) ?? []));
        break;
      }
      if (answer.status !== 200) throw await unexpectedStatus(answer);
      const next = nextLink(headerOf(answer, 'link'), answer.url);
      found.push(...entriesOf(await readBody(answer, MAX_RESOLVED_MANIFEST_BYTES)));
      path = next;
      query = {};
    }
    if (found.length > 0) break;
  }
  return artifactType === undefined ? found : found.filter((each) => each.artifactType === artifactType);
}

/** Adds a referrer to the fall-back tag of its subject. */
export async function addToReferrersTag(
  session: RepositorySession,
  host: HostSession,
  subject: Digest,
  referrer: Descriptor,
  signal: AbortSignal,
): Promise<void> {
  const tag = referrersTag(subject);
  const held = (await readIndex(session, host, tag, signal)) ?? [];
  if (held.some(({ digest }) => digest === referrer.digest)) return;
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: [...held, referrer] }),
  );
  const descriptor = { mediaType: MEDIA_TYPE.ociIndex, digest: digestOf(bytes), size: bytes.length };
  await pushManifest(session, host, descriptor, bytes, tag, signal);
}

async function readIndex(
  session: RepositorySession,
  host: HostSession,
  tag: string,
  signal: AbortSignal,
): Promise<readonly Descriptor[] | undefined> {
  const answer = await session.send(
    host,
    { method: 'GET', path: `manifests/${tag}`, headers: { accept: MEDIA_TYPE.ociIndex } },
    true,
    signal,
  );
  if (answer.status === 404) {
    await drain(answer);
    return undefined;
  }
  if (answer.status !== 200) throw await unexpectedStatus(answer);
  return entriesOf(await readBody(answer, MAX_RESOLVED_MANIFEST_BYTES));
}

function entriesOf(bytes: Buffer): readonly Descriptor[] {
  const manifest = parseManifest(bytes, MEDIA_TYPE.ociIndex);
  if (manifest.kind !== 'index')
    throw new RemoteError('BAD_RESPONSE', 'referrers were answered with a manifest, expected an index');
  return manifest.manifests;
}

/** Reads the next page's address from a `Link` header; only on the same host. */
function nextLink(header: string | undefined, base: string): string | undefined {
  const target = /<([^>]*)>\s*;[^,]*\brel="?next"?/.exec(header ?? '')?.[1];
  const url = target === undefined ? null : URL.parse(target, base);
  return url !== null && url.origin === new URL(base).origin ? url.href : undefined;
}
