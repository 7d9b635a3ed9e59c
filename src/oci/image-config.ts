import { readDigest, readPlatform } from './_descriptor-reader.ts';
import { complainAbout, parseJsonDocument } from './_json-document.ts';
import { JsonReader, type JsonObject } from './_json-reader.ts';
import type { Digest } from './digest.ts';
import { MAX_ENTRIES } from './manifest.ts';
import type { Platform } from './platform.ts';

/** The largest config read; configs are held in memory. Real ones are some kilobytes. */
export const MAX_CONFIG_BYTES = 8 * 1024 * 1024;

/** How an image wants to be run. @see OCI image-spec v1.1.1, config.md */
export interface ExecutionConfig {
  readonly user: string;
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly workingDir: string;
  readonly exposedPorts: readonly string[];
  readonly volumes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly stopSignal: string;
}

export interface ImageConfig {
  readonly platform: Platform;
  readonly created?: string;
  readonly config: ExecutionConfig;
  /** Digests of the uncompressed layers, base first. */
  readonly diffIds: readonly Digest[];
  /** The document as it came, unknown fields included. */
  readonly document: JsonObject;
}

/**
 * Reads the config of an image.
 *
 * @throws ManifestError
 */
export function parseImageConfig(body: string | Uint8Array): ImageConfig {
  const document = parseJsonDocument(body, MAX_CONFIG_BYTES, 'image config');
  const complain = complainAbout('image config');
  const reader = new JsonReader(document, '', complain);
  const execution = reader.object('config', (value, where) => new JsonReader(value, where, complain));
  const diffIds = reader.object('rootfs', (value, where) => {
    const rootfs = new JsonReader(value, where, complain);
    return rootfs.list('diff_ids', MAX_ENTRIES, (item, at) => readDigest(item, at, complain));
  });
  const created = reader.optionalString('created');
  return {
    platform: readPlatform(document, '', complain),
    ...(created === undefined ? {} : { created }),
    config: {
      user: execution?.optionalString('User') ?? '',
      env: execution?.strings('Env') ?? [],
      entrypoint: execution?.strings('Entrypoint') ?? [],
      cmd: execution?.strings('Cmd') ?? [],
      workingDir: execution?.optionalString('WorkingDir') ?? '',
      exposedPorts: execution?.keys('ExposedPorts') ?? [],
      volumes: execution?.keys('Volumes') ?? [],
      labels: execution?.stringMap('Labels') ?? {},
      stopSignal: execution?.optionalString('StopSignal') ?? '',
    },
    diffIds: diffIds ?? [],
    document,
  };
}
