import type { Descriptor } from '../oci/descriptor.ts';
import { isDigest, type Digest } from '../oci/digest.ts';
import { MAX_ENTRIES } from '../oci/manifest.ts';
import { isIndexType, isManifestType, MEDIA_TYPE } from '../oci/media-type.ts';
import { RegistryError } from './registry-error.ts';

/** What the registry needs to know of a manifest; its bytes are kept as they came. */
export interface ManifestFacts {
  readonly mediaType: string;
  /** Config and layers that must be in the repository. */
  readonly blobs: readonly Digest[];
  /** Children of an index. */
  readonly manifests: readonly Digest[];
  readonly subject?: Digest;
  /** Type to list a referrer under: `artifactType`, else the config's media type of an image. */
  readonly artifactType?: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Artifact manifests of a withdrawn draft, which old clients still push. */
const ARTIFACT_MANIFEST = 'application/vnd.oci.artifact.manifest.v1+json';
/** Layers that their licence keeps out of registries: a client need not push them. */
const NON_DISTRIBUTABLE: ReadonlySet<string> = new Set<string>([
  MEDIA_TYPE.ociLayerNondistributable,
  MEDIA_TYPE.ociLayerNondistributableGzip,
  MEDIA_TYPE.ociLayerNondistributableZstd,
  MEDIA_TYPE.dockerLayerForeignGzip,
]);
/** Deepest nesting read. Real manifests need 5 levels; what needs more is made to hurt a parser. */
const DEPTH_LIMIT = 64;

type Json = Record<string, unknown>;

/**
 * Reads a pushed manifest.
 *
 * @param contentType the pushed `Content-Type`; its parameters are dropped, and absent it is the body's `mediaType`
 * @throws RegistryError `MANIFEST_INVALID`
 */
export function parseManifestDocument(bytes: Uint8Array, contentType: string | undefined): ManifestFacts {
  const document = parseObject(bytes);
  const stated = contentType?.split(';')[0]?.trim().toLowerCase();
  const inner = document['mediaType'];
  if (inner !== undefined && typeof inner !== 'string') throw invalid('mediaType is not a string');
  const mediaType = stated === undefined || stated === '' || stated === 'application/json' ? inner : stated;
  if (mediaType === undefined) throw invalid('neither Content-Type nor mediaType says what this is');
  if (inner !== undefined && inner !== mediaType) {
    throw invalid(`mediaType is "${inner}" but Content-Type is "${mediaType}"`);
  }
  const artifactType = textField(document, 'artifactType');
  const subject = optionalDescriptor(document, 'subject');
  const common = {
    mediaType,
    annotations: annotationsOf(document),
    ...(subject === undefined ? {} : { subject: subject.digest }),
  };
  if (mediaType === ARTIFACT_MANIFEST) {
    const blobs = distributable(descriptors(document, 'blobs'));
    return { ...common, blobs, manifests: [], ...(artifactType === undefined ? {} : { artifactType }) };
  }
  if (document['schemaVersion'] !== 2) throw invalid('schemaVersion is not 2');
  if (isIndexType(mediaType)) {
    refuseFields(document, ['config', 'layers', 'fsLayers'], 'an index');
    requireList(document, 'manifests');
    const children = descriptors(document, 'manifests').map((child) => child.digest);
    return {
      ...common,
      blobs: [],
      manifests: [...new Set(children)],
      ...(artifactType === undefined ? {} : { artifactType }),
    };
  }
  if (!isManifestType(mediaType)) throw invalid(`manifests of type "${mediaType}" are not supported`);
  refuseFields(document, ['manifests', 'fsLayers'], 'a manifest');
  const config = optionalDescriptor(document, 'config');
  if (config === undefined) throw invalid('config is missing');
  requireList(document, 'layers');
  const layers = descriptors(document, 'layers');
  return {
    ...common,
    blobs: [...new Set([config.digest, ...distributable(layers)])],
    manifests: [],
    artifactType: artifactType ?? config.mediaType,
  };
}

/**
 * A document that can be read as a manifest and as an index names different content to different clients, so that what one
 * checked is not what another runs.
 *
 * @see CVE-2021-41190
 */
function refuseFields(document: Json, fields: readonly string[], what: string): void {
  const foreign = fields.find((field) => Object.hasOwn(document, field));
  if (foreign !== undefined) throw invalid(`${what} has no ${foreign}`);
}

/** A list that is null is empty: Go prints lists so that were never made. */
function requireList(document: Json, field: string): void {
  const list = Object.hasOwn(document, field) ? document[field] : undefined;
  if (list !== null && !Array.isArray(list)) throw invalid(`${field} is not a list`);
}

function distributable(layers: readonly Descriptor[]): Digest[] {
  return layers.filter((layer) => !NON_DISTRIBUTABLE.has(layer.mediaType)).map((layer) => layer.digest);
}

function parseObject(bytes: Uint8Array): Json {
  if (nesting(bytes) > DEPTH_LIMIT) throw invalid(`nested deeper than ${DEPTH_LIMIT} levels`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw invalid('not a JSON document', cause);
  }
  return asObject(value, 'the document');
}

/** Returns the deepest nesting of a JSON text without parsing it. */
function nesting(bytes: Uint8Array): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (inString) {
      if (byte === 0x5c) i++;
      else if (byte === 0x22) inString = false;
    } else if (byte === 0x22) inString = true;
    else if (byte === 0x7b || byte === 0x5b) deepest = Math.max(deepest, ++depth);
    else if (byte === 0x7d || byte === 0x5d) depth--;
  }
  return deepest;
}

function asObject(value: unknown, where: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(`${where} is not an object`);
  }
  return value as Json;
}

function textField(object: Json, field: string): string | undefined {
  if (!Object.hasOwn(object, field)) return undefined;
  const value = object[field];
  if (typeof value !== 'string') throw invalid(`${field} is not a string`);
  return value === '' ? undefined : value;
}

function annotationsOf(object: Json): Record<string, string> {
  const annotations = Object.create(null) as Record<string, string>;
  if (!Object.hasOwn(object, 'annotations') || object['annotations'] === null) return annotations;
  for (const [key, value] of Object.entries(asObject(object['annotations'], 'annotations'))) {
    if (typeof value !== 'string') throw invalid(`annotation "${key}" is not a string`);
    annotations[key] = value;
  }
  return annotations;
}

function descriptors(object: Json, field: string): Descriptor[] {
  const list = Object.hasOwn(object, field) ? object[field] : undefined;
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) throw invalid(`${field} is not a list`);
  if (list.length > MAX_ENTRIES) throw invalid(`${field} has more than ${MAX_ENTRIES} entries`);
  return list.map((item, place) => descriptorOf(asObject(item, `${field}[${place}]`), `${field}[${place}]`));
}

function optionalDescriptor(object: Json, field: string): Descriptor | undefined {
  const value = Object.hasOwn(object, field) ? object[field] : undefined;
  return value === undefined || value === null ? undefined : descriptorOf(asObject(value, field), field);
}

function descriptorOf(object: Json, where: string): Descriptor {
  const { mediaType, digest, size } = object;
  if (typeof mediaType !== 'string' || mediaType === '') throw invalid(`${where} has no mediaType`);
  if (typeof digest !== 'string' || !isDigest(digest)) throw invalid(`${where} has no valid digest`);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw invalid(`${where} has no valid size`);
  }
  return { mediaType, digest, size };
}

function invalid(reason: string, cause?: unknown): RegistryError {
  return new RegistryError(
    'MANIFEST_INVALID',
    `manifest invalid: ${reason}`,
    cause === undefined ? {} : { cause },
  );
}
