import { readDescriptor } from './_descriptor-reader.ts';
import { complainAbout, parseJsonDocument } from './_json-document.ts';
import { field, has, JsonReader, type JsonObject } from './_json-reader.ts';
import type { Descriptor } from './descriptor.ts';
import { ManifestError } from './manifest-error.ts';
import { isIndexType, isManifestType, MEDIA_TYPE } from './media-type.ts';

/** The largest manifest read: what the distribution specification asks every registry to accept. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
/** Layers or index entries of one document: far above any image that exists, low enough to bound work. */
export const MAX_ENTRIES = 10_000;

interface ManifestFields {
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
  /** The document as it came, unknown fields included. */
  readonly document: JsonObject;
}

/** The manifest of one image or artifact. @see OCI image-spec v1.1.1, manifest.md */
export interface ImageManifest extends ManifestFields {
  readonly kind: 'manifest';
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** A list of manifests, by platform or of any kind. @see OCI image-spec v1.1.1, image-index.md */
export interface ImageIndex extends ManifestFields {
  readonly kind: 'index';
  readonly manifests: readonly Descriptor[];
}

export type Manifest = ImageManifest | ImageIndex;

/**
 * Reads a manifest or an index, as its media type says; the content must agree with the type (rule 15.16).
 *
 * @throws ManifestError
 */
export function parseManifest(body: string | Uint8Array, mediaType: string): Manifest {
  const type = mediaType.split(';', 1)[0]?.trim() ?? '';
  if (type === MEDIA_TYPE.dockerManifestV1 || type === MEDIA_TYPE.dockerManifestV1Signed) throw schema1();
  const index = isIndexType(type);
  if (!index && !isManifestType(type)) {
    throw new ManifestError('WRONG_KIND', `Cannot read manifest: media type "${type}" is none of a manifest`);
  }
  const what = index ? 'index' : 'manifest';
  const document = parseJsonDocument(body, MAX_MANIFEST_BYTES, what);
  checkKind(document, type);
  const complain = complainAbout(what);
  const reader = new JsonReader(document, '', complain);
  if (reader.optionalInteger('schemaVersion') !== 2) throw reader.error('schemaVersion', '2');
  const descriptor = (value: unknown, where: string): Descriptor => readDescriptor(value, where, complain);
  const artifactType = reader.optionalString('artifactType');
  const subject = reader.object('subject', descriptor);
  const annotations = reader.stringMap('annotations');
  const fields: ManifestFields = {
    mediaType: type,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(subject === undefined ? {} : { subject }),
    ...(annotations === undefined ? {} : { annotations }),
    document,
  };
  if (index) {
    // Go prints a list that was never made as null; one that is not mentioned at all is no index.
    const manifests =
      reader.list('manifests', MAX_ENTRIES, descriptor) ??
      (Object.hasOwn(document, 'manifests') ? [] : undefined);
    if (manifests === undefined) throw reader.error('manifests', 'a list');
    return { kind: 'index', ...fields, manifests };
  }
  const config = reader.object('config', descriptor);
  if (config === undefined) throw reader.error('config', 'an object');
  return {
    kind: 'manifest',
    ...fields,
    config,
    layers: reader.list('layers', MAX_ENTRIES, descriptor) ?? [],
  };
}

/** A client that took an index for a manifest, or the reverse, would trust the wrong digests. */
function checkKind(document: JsonObject, type: string): void {
  if (has(document, 'fsLayers')) throw schema1();
  const inner = field(document, 'mediaType');
  const innerType = typeof inner === 'string' ? inner : '';
  if (isManifestType(type) && (has(document, 'manifests') || isIndexType(innerType))) {
    throw new ManifestError('WRONG_KIND', `media-type: expected manifest but found index (${type})`);
  }
  const imageFields = has(document, 'config') || has(document, 'layers');
  if (isIndexType(type) && (imageFields || isManifestType(innerType))) {
    throw new ManifestError('WRONG_KIND', `media-type: expected index but found manifest (${type})`);
  }
}

function schema1(): ManifestError {
  return new ManifestError('SCHEMA_1', 'media-type: schema 1 not supported');
}
