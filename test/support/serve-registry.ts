import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { createHash } from 'node:crypto';
import { createRegistry, type Registry, type RegistryOptions } from '../../src/registry/registry.ts';

/** A registry in a temporary directory, with a client that speaks plain HTTP to it. */
export interface ServedRegistry {
  readonly registry: Registry;
  readonly directory: string;
  /** `host:port`, as image names begin. */
  readonly host: string;
  /** Sends a request; `path` begins with a slash. Redirects are not followed. */
  send(method: string, path: string, options?: SendOptions): Promise<Response>;
  /** Pushes a blob in one request and returns its digest. */
  pushBlob(repository: string, content: string | Uint8Array): Promise<string>;
  /** Pushes a manifest and returns its digest. */
  pushManifest(repository: string, reference: string, manifest: object): Promise<string>;
}

export interface SendOptions {
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array | ReadableStream;
  /** `account:password` */
  readonly basic?: string;
  readonly bearer?: string;
}

/** Serves a registry until the test ends. Everybody may do everything unless `auth` is `required`. */
export async function serveRegistry(
  t: Pick<TestContext, 'after'>,
  options: Partial<RegistryOptions> = {},
): Promise<ServedRegistry> {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'dray-registry-')));
  const registry = await createRegistry({ auth: 'none', ...options, directory });
  t.after(async () => {
    await registry.close();
    await rm(directory, { recursive: true, force: true });
  });
  const send = (method: string, path: string, sent: SendOptions = {}): Promise<Response> => {
    const headers = { ...sent.headers };
    if (sent.basic !== undefined) {
      headers['authorization'] = `Basic ${Buffer.from(sent.basic).toString('base64')}`;
    }
    if (sent.bearer !== undefined) headers['authorization'] = `Bearer ${sent.bearer}`;
    const body = sent.body === undefined ? {} : { body: sent.body, duplex: 'half' as const };
    return fetch(registry.url + path, { method, headers, redirect: 'manual', ...body });
  };
  return {
    registry,
    directory,
    host: new URL(registry.url).host,
    send,
    pushBlob: async (repository, content) => {
      const digest = sha256(content);
      const path = `/v2/${repository}/blobs/uploads/?digest=${digest}`;
      const answer = await send('POST', path, { body: content });
      if (answer.status !== 201) throw new Error(`push of a blob: ${answer.status} ${await answer.text()}`);
      return digest;
    },
    pushManifest: async (repository, reference, manifest) => {
      const body = JSON.stringify(manifest);
      const type = (manifest as { mediaType?: string }).mediaType ?? OCI_MANIFEST;
      const headers = { 'content-type': type };
      const answer = await send('PUT', `/v2/${repository}/manifests/${reference}`, { body, headers });
      if (answer.status !== 201)
        throw new Error(`push of a manifest: ${answer.status} ${await answer.text()}`);
      return sha256(body);
    },
  };
}

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';

/** Returns the digest of bytes. */
export function sha256(content: string | Uint8Array, algorithm = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(content).digest('hex')}`;
}

/** Describes bytes. */
export function describe(
  content: string | Uint8Array,
  mediaType: string,
): {
  mediaType: string;
  digest: string;
  size: number;
} {
  return { mediaType, digest: sha256(content), size: Buffer.byteLength(content) };
}

/** Returns a manifest of a config and layers, with whatever else is given. */
export function manifestOf(config: string, layers: readonly string[], extra: object = {}): object {
  return {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: describe(config, 'application/vnd.oci.image.config.v1+json'),
    layers: layers.map((layer) => describe(layer, 'application/vnd.oci.image.layer.v1.tar')),
    ...extra,
  };
}

/** Pushes a whole small image and returns the digest of its manifest. */
export async function pushImage(
  served: ServedRegistry,
  repository: string,
  reference: string,
  layers: readonly string[] = ['layer'],
  extra: object = {},
): Promise<string> {
  const config = JSON.stringify({ architecture: 'amd64', os: 'linux', made: reference });
  for (const content of [config, ...layers]) await served.pushBlob(repository, content);
  return served.pushManifest(repository, reference, manifestOf(config, layers, extra));
}

/** Returns the codes of an error body. */
export async function errorCodes(answer: Response): Promise<string[]> {
  const body = (await answer.json()) as { errors: { code: string }[] };
  return body.errors.map((error) => error.code);
}
