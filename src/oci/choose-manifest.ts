import type { Descriptor } from './descriptor.ts';
import type { ImageConfig } from './image-config.ts';
import { ManifestError } from './manifest-error.ts';
import type { ImageManifest, Manifest } from './manifest.ts';
import { isIndexType, isManifestType } from './media-type.ts';
import type { PlatformMatcher } from './platform-matcher.ts';

/** How deep indexes may stand in indexes; two levels exist in practice, and a loop must end. */
export const MAX_INDEX_DEPTH = 8;

/** Gets documents by descriptor; whoever implements it checks digest and size. */
export interface ManifestReader {
  manifest(descriptor: Descriptor): Promise<Manifest>;
  config(descriptor: Descriptor): Promise<ImageConfig>;
}

export interface ChosenManifest {
  readonly descriptor: Descriptor;
  readonly manifest: ImageManifest;
}

/**
 * Keeps the entries of an index that can be meant for a host, the best first (rule 15.12). Entries without a platform come
 * last; their image config decides (15.13). Entries that are neither manifest nor index are left out.
 */
export function rankEntries(entries: readonly Descriptor[], matcher: PlatformMatcher): readonly Descriptor[] {
  return entries
    .filter(({ mediaType }) => isManifestType(mediaType) || isIndexType(mediaType))
    .filter(({ platform }) => platform === undefined || matcher.matches(platform))
    .toSorted((a, b) => {
      if (a.platform === undefined) return b.platform === undefined ? 0 : 1;
      return b.platform === undefined ? -1 : matcher.compare(a.platform, b.platform);
    });
}

/**
 * Finds the manifest that a host would use. A manifest named directly is taken whatever its platform (rule 15.13); indexes in
 * indexes are followed (15.14).
 *
 * @throws ManifestError `NO_PLATFORM` when nothing fits (15.15), or whatever `reader` throws
 */
export async function chooseManifest(
  root: Descriptor,
  matcher: PlatformMatcher,
  reader: ManifestReader,
): Promise<ChosenManifest> {
  const manifest = await reader.manifest(root);
  const chosen =
    manifest.kind === 'manifest'
      ? { descriptor: root, manifest }
      : await search(manifest.manifests, matcher, reader, 1);
  if (chosen === undefined) {
    throw new ManifestError('NO_PLATFORM', 'no match for platform in manifest: not found');
  }
  return chosen;
}

async function search(
  entries: readonly Descriptor[],
  matcher: PlatformMatcher,
  reader: ManifestReader,
  depth: number,
): Promise<ChosenManifest | undefined> {
  if (depth > MAX_INDEX_DEPTH) {
    throw new ManifestError('TOO_LARGE', `Cannot choose a manifest: indexes stand in indexes ${depth} deep`);
  }
  for (const descriptor of rankEntries(entries, matcher)) {
    const manifest = await reader.manifest(descriptor);
    if (manifest.kind === 'index') {
      const inner = await search(manifest.manifests, matcher, reader, depth + 1);
      if (inner !== undefined) return inner;
    } else if (descriptor.platform !== undefined || (await configMatches(manifest, matcher, reader))) {
      return { descriptor, manifest };
    }
  }
  return undefined;
}

async function configMatches(
  manifest: ImageManifest,
  matcher: PlatformMatcher,
  reader: ManifestReader,
): Promise<boolean> {
  return matcher.matches((await reader.config(manifest.config)).platform);
}
