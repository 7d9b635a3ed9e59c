import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFileStore } from '../content/file-store.ts';
import type { ImageStores } from '../daemon/stores/image-stores.ts';
import { openImageStore } from '../images/sqlite-image-store.ts';
import { hostPlatform } from '../oci/host-platform.ts';
import { parseDockerReference, ReferenceError } from '../oci/reference.ts';
import { contentTarget } from '../pull/copy/content-endpoint.ts';
import type { CopySource, CopyTarget } from '../pull/copy/endpoint.ts';
import { layoutSource, layoutTarget } from '../pull/copy/layout-endpoint.ts';
import { loadArchive } from '../pull/copy/load-archive.ts';
import { registrySource, registryTarget } from '../pull/copy/registry-endpoint.ts';
import { saveArchive } from '../pull/copy/save-archive.ts';
import { describeImage, storeSource, storeTarget } from '../pull/copy/store-endpoint.ts';
import type { CredentialSource } from '../remote/credential.ts';
import type { RemoteClient } from '../remote/remote-client.ts';
import { findImage, fullName, newName } from './_image-names.ts';
import { readFileOf, writeWholeFile } from './_whole-file.ts';
import { UsageError } from './exit.ts';

/** Where an image is or goes: `[docker://]NAME`, `oci:DIRECTORY[:NAME]`, `archive:FILE[:NAME]`, `store:NAME`. */
export type ImagePlace =
  | { readonly kind: 'registry'; readonly name: string }
  | { readonly kind: 'store'; readonly name: string }
  | { readonly kind: 'layout'; readonly path: string; readonly name: string | undefined }
  | { readonly kind: 'archive'; readonly path: string; readonly name: string | undefined };

const PREFIXES: Readonly<Record<string, ImagePlace['kind']>> = {
  'docker://': 'registry',
  'store:': 'store',
  'oci:': 'layout',
  'archive:': 'archive',
  // As skopeo calls the two forms of an archive; what is written here is both.
  'docker-archive:': 'archive',
  'oci-archive:': 'archive',
};

/** @throws UsageError */
export function parsePlace(text: string): ImagePlace {
  const prefix = Object.keys(PREFIXES).find((each) => text.startsWith(each)) ?? '';
  const kind = PREFIXES[prefix] ?? 'registry';
  const rest = text.slice(prefix.length);
  if (kind === 'registry') {
    try {
      parseDockerReference(rest);
    } catch (error) {
      if (!(error instanceof ReferenceError)) throw error;
      throw new UsageError(`${JSON.stringify(text)} is no place of an image: ${error.message}`);
    }
  }
  if (kind === 'registry' || kind === 'store') return { kind, name: rest };
  const colon = rest.indexOf(':');
  const path = colon < 0 ? rest : rest.slice(0, colon);
  if (path === '') throw new UsageError(`${JSON.stringify(text)} names no path`);
  return { kind, path, name: colon < 0 ? undefined : rest.slice(colon + 1) };
}

export interface PlaceContext {
  readonly remote: RemoteClient;
  readonly credentials: CredentialSource;
  /** Present when a place is in the store. */
  readonly stores: ImageStores | undefined;
  /** Takes what has to be removed when the copy is over. */
  readonly cleanup: AsyncDisposableStack;
  readonly signal: AbortSignal;
}

/** Opens a place to read from. @throws UsageError, PullError when there is nothing */
export async function openSource(place: ImagePlace, context: PlaceContext): Promise<CopySource> {
  const { remote, credentials } = context;
  if (place.kind === 'registry') return registrySource({ remote, reference: place.name, credentials });
  if (place.kind === 'layout') return layoutSource(place.path, place.name);
  if (place.kind === 'archive') return archiveSource(place.path, place.name, context);
  const { content, images } = storesOf(context);
  const { image, name } = await findImage(images, place.name);
  return storeSource({ content, images, name: name ?? image.id });
}

/** Opens a place to write to. */
export async function openTarget(place: ImagePlace, context: PlaceContext): Promise<CopyTarget> {
  const { remote, credentials } = context;
  if (place.kind === 'registry') return registryTarget({ remote, reference: place.name, credentials });
  if (place.kind === 'layout') return layoutTarget(place.path, place.name);
  if (place.kind === 'archive') return archiveTarget(place.path, place.name, context);
  const { content, images } = storesOf(context);
  return storeTarget({ content, images, name: newName(place.name) });
}

function storesOf({ stores }: PlaceContext): ImageStores {
  if (stores === undefined) throw new Error('Cannot open a place in the store: it was not opened');
  return stores;
}

/** Makes a directory that is gone when the copy is over: what an archive holds cannot be read or written out of order. */
async function temporaryDirectory(cleanup: AsyncDisposableStack): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'dray-archive-'));
  cleanup.defer(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function archiveSource(
  path: string,
  name: string | undefined,
  { cleanup, signal }: PlaceContext,
): Promise<CopySource> {
  const content = await openFileStore(await temporaryDirectory(cleanup));
  const images = await openImageStore(':memory:');
  cleanup.defer(() => images.close());
  const source = readFileOf(path);
  const loaded = await loadArchive({ content, images, source, name: name ?? 'archive', signal });
  const wanted = name === undefined ? undefined : fullName(name);
  const found = loaded.find(({ names }) =>
    wanted === undefined ? loaded.length === 1 : names.includes(wanted),
  );
  if (found === undefined) {
    const names = loaded.flatMap((image) => image.names).join(', ');
    throw new UsageError(
      wanted === undefined
        ? `${JSON.stringify(path)} has several images (${names}): say which, as archive:${path}:NAME`
        : `${JSON.stringify(path)} has no image ${JSON.stringify(wanted)}: it has ${names}`,
    );
  }
  return storeSource({ content, images, name: found.names[0] ?? found.imageId });
}

async function archiveTarget(
  path: string,
  name: string | undefined,
  { cleanup }: PlaceContext,
): Promise<CopyTarget> {
  const names = name === undefined ? [] : [fullName(name)];
  const content = await openFileStore(await temporaryDirectory(cleanup));
  const lease = { add: () => Promise.resolve(), release: () => Promise.resolve() };
  return contentTarget(content, lease, async (root, signal) => {
    const { manifest } = await describeImage(content, root, hostPlatform(), signal);
    await writeWholeFile(path, saveArchive(content, [{ root, manifest, names }], signal), signal);
  });
}
