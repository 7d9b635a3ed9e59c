import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { writeFileAtomic } from '../../base/atomic-file.ts';
import { isSystemError } from '../../base/coded-error.ts';
import { ContentError } from '../../content/content-error.ts';
import { openFileStore } from '../../content/file-store.ts';
import type { Provider, Range } from '../../content/store.ts';
import { algorithmOf, hexOf, type Digest } from '../../oci/digest.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { parseManifest } from '../../oci/manifest.ts';
import { MEDIA_TYPE } from '../../oci/media-type.ts';
import { PullError } from '../pull-error.ts';
import { contentSource, contentTarget } from './content-endpoint.ts';
import type { CopySource, CopyTarget } from './endpoint.ts';

/** The annotation that names an image in a layout. @see OCI image-spec v1.1.1, annotations.md */
export const REF_NAME = 'org.opencontainers.image.ref.name';

/** More than any layout's index has; it is read into memory. */
const MAX_INDEX_BYTES = 16 * 1024 * 1024;

/** Reads an image from an OCI layout, which is not changed. `name` is its ref name; not needed when there is one image only. */
export function layoutSource(directory: string, name: string | undefined): CopySource {
  const content = layoutProvider(directory);
  const source = contentSource(content, { mediaType: '', digest: '' as Digest, size: 0 });
  return {
    ...source,
    resolve: async () => {
      const entries = await layoutEntries(directory);
      const named =
        name === undefined ? entries : entries.filter((each) => each.annotations?.[REF_NAME] === name);
      const [found, ...others] = named;
      if (found === undefined)
        throw new PullError('NOT_FOUND', `image "${name ?? ''}" is not in layout "${directory}": not found`);
      if (others.length > 0)
        throw new PullError(
          'INVALID_REFERENCE',
          `layout "${directory}" has ${named.length} images${name === undefined ? '' : ` named "${name}"`}: say which`,
        );
      return found;
    },
  };
}

/** Writes an image to an OCI layout, made when it is not there; other images of the layout stay. */
export async function layoutTarget(directory: string, name: string | undefined): Promise<CopyTarget> {
  const content = await openFileStore(directory);
  const lease = { add: () => Promise.resolve(), release: () => Promise.resolve() };
  return contentTarget(content, lease, async (root) => {
    const entries = await layoutEntries(directory);
    const others = entries.filter(
      (each) => each.annotations?.[REF_NAME] !== name && (name !== undefined || each.digest !== root.digest),
    );
    const { mediaType, digest, size, platform, artifactType } = root;
    const entry = {
      mediaType,
      digest,
      size,
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(platform === undefined ? {} : { platform }),
      ...(name === undefined ? {} : { annotations: { [REF_NAME]: name } }),
    };
    const index = { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: [...others, entry] };
    await writeFileAtomic(join(directory, 'index.json'), JSON.stringify(index));
  });
}

/** Lists what the index of a layout names. @throws PullError `NOT_FOUND` when the directory is no layout */
export async function layoutEntries(directory: string): Promise<readonly Descriptor[]> {
  const path = join(directory, 'index.json');
  let size: number;
  try {
    ({ size } = await stat(path));
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
    throw new PullError('NOT_FOUND', `"${directory}" is no OCI layout: it has no index.json: not found`, {
      cause: error,
    });
  }
  if (size > MAX_INDEX_BYTES)
    throw new PullError('TOO_LARGE', `"${path}" has ${size} bytes, at most ${MAX_INDEX_BYTES} are read`);
  const index = parseManifest(await readFile(path), MEDIA_TYPE.ociIndex);
  return index.kind === 'index' ? index.manifests : [];
}

/** Reads blobs of a layout that somebody else may own: nothing is written, not even a lock. */
function layoutProvider(directory: string): Pick<Provider, 'open' | 'stat'> {
  const pathOf = (digest: Digest): string => join(directory, 'blobs', algorithmOf(digest), hexOf(digest));
  const facts = async (digest: Digest): Promise<{ size: number; mtimeMs: number }> => {
    try {
      return await stat(pathOf(digest));
    } catch (error) {
      if (!isSystemError(error, 'ENOENT')) throw error;
      throw new ContentError('NOT_FOUND', `Cannot open content "${digest}": it is not in the layout`, {
        cause: error,
      });
    }
  };
  return {
    stat: async (digest) => {
      const { size, mtimeMs } = await facts(digest);
      return { digest, size, committedAt: mtimeMs };
    },
    open: async (digest: Digest, range?: Range): Promise<Readable> => {
      await facts(digest);
      return createReadStream(pathOf(digest), { start: range?.offset ?? 0, highWaterMark: 256 * 1024 });
    },
  };
}
