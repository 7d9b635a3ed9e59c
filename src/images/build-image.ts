import { randomUUID } from 'node:crypto';
import { PassThrough, Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip, createZstdCompress } from 'node:zlib';
import { makeTar, type TarSource } from '../archive/make-tar.ts';
import type { Ingester, Provider } from '../content/store.ts';
import { writeBytes } from '../content/write-content.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { Digester, type Digest } from '../oci/digest.ts';
import { MEDIA_TYPE } from '../oci/media-type.ts';
import type { Platform } from '../oci/platform.ts';

type Store = Ingester & Pick<Provider, 'stat'>;

/** A layer that is in the store. */
export interface BuiltLayer {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
  /** What made it, for the image's history. */
  readonly createdBy?: string;
}

export interface BuildLayerOptions {
  /** `gzip` by default. */
  readonly compression?: 'none' | 'gzip' | 'zstd';
  readonly createdBy?: string;
}

const LAYER_TYPE = {
  none: MEDIA_TYPE.ociLayer,
  gzip: MEDIA_TYPE.ociLayerGzip,
  zstd: MEDIA_TYPE.ociLayerZstd,
} as const;

/** Makes a layer of files and puts it into a content store. @throws ArchiveError, ContentError */
export async function buildLayer(
  store: Store,
  sources: readonly TarSource[],
  signal: AbortSignal,
  options: BuildLayerOptions = {},
): Promise<BuiltLayer> {
  const compression = options.compression ?? 'gzip';
  const uncompressed = new Digester();
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of makeTar(sources, signal)) {
      uncompressed.update(chunk);
      yield chunk;
    }
  }
  // Its digest is not known yet, so the ingest has a name of its own.
  const ingest = await store.openIngest(`build ${randomUUID()}`);
  try {
    const stage: Transform =
      compression === 'none'
        ? new PassThrough()
        : compression === 'gzip'
          ? createGzip()
          : createZstdCompress();
    const write = async (source: AsyncIterable<Uint8Array>): Promise<void> => {
      for await (const chunk of source) await ingest.write(chunk);
    };
    await pipeline(Readable.from(counted()), stage, write, { signal });
    const { digest, size } = await ingest.commit({});
    return {
      descriptor: { mediaType: LAYER_TYPE[compression], digest, size },
      diffId: uncompressed.digest(),
      ...(options.createdBy === undefined ? {} : { createdBy: options.createdBy }),
    };
  } finally {
    await ingest.abort();
  }
}

/** How a container of the image is run. @see OCI image-spec v1.1.1, config.md, "config" */
export interface BuildConfig {
  readonly User?: string;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly WorkingDir?: string;
  readonly ExposedPorts?: Readonly<Record<string, Readonly<Record<string, never>>>>;
  readonly Volumes?: Readonly<Record<string, Readonly<Record<string, never>>>>;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
}

export interface BuildImageOptions {
  /** Base first. */
  readonly layers: readonly BuiltLayer[];
  readonly config: BuildConfig;
  readonly platform: Platform;
  readonly annotations?: Readonly<Record<string, string>>;
  /** RFC 3339; left out by default, so that equal input makes an equal image. */
  readonly created?: string;
}

export interface BuiltImage {
  readonly manifest: Descriptor;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly Digest[];
}

/** Makes config and manifest of an image and puts them into a content store. @throws ContentError */
export async function buildImage(
  store: Store,
  options: BuildImageOptions,
  signal: AbortSignal,
): Promise<BuiltImage> {
  const { platform, layers, created } = options;
  const diffIds = layers.map(({ diffId }) => diffId);
  const stamp = created === undefined ? {} : { created };
  const config = await writeJson(store, MEDIA_TYPE.ociConfig, signal, {
    ...stamp,
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    config: options.config,
    rootfs: { type: 'layers', diff_ids: diffIds },
    history: layers.map(({ createdBy }) => ({ ...stamp, created_by: createdBy ?? 'drayage build' })),
  });
  const descriptors = layers.map(({ descriptor }) => descriptor);
  const manifest = await writeJson(store, MEDIA_TYPE.ociManifest, signal, {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociManifest,
    config,
    layers: descriptors,
    ...(options.annotations === undefined ? {} : { annotations: options.annotations }),
  });
  return { manifest: { ...manifest, platform }, config, layers: descriptors, diffIds };
}

function writeJson(
  store: Store,
  mediaType: string,
  signal: AbortSignal,
  value: unknown,
): Promise<Descriptor> {
  return writeBytes(store, mediaType, Buffer.from(JSON.stringify(value)), signal);
}
