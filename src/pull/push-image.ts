import type { Provider } from '../content/store.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { formatReference, parseDockerReference } from '../oci/reference.ts';
import type { CredentialSource } from '../remote/credential.ts';
import type { RemoteClient } from '../remote/remote-client.ts';
import { contentSource } from './copy/content-endpoint.ts';
import { copyImage, type CopyProgress } from './copy/copy-image.ts';
import { registryTarget } from './copy/registry-endpoint.ts';

export interface PushImageRequest {
  readonly remote: RemoteClient;
  readonly content: Pick<Provider, 'open' | 'stat'>;
  /** Where to, as people write it: `registry.example/app:v2`. */
  readonly reference: string;
  /** What to push: an index or a manifest that `content` holds with everything below it. */
  readonly target: Descriptor;
  readonly credentials?: CredentialSource | undefined;
  /** Repository (of the same registry) that may already have the blobs. */
  readonly mountFrom?: string | undefined;
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
  readonly signal: AbortSignal;
}

export interface PushedImage {
  /** Normalised name. */
  readonly name: string;
  readonly digest: string;
}

/**
 * Pushes an image with everything it needs: blobs first and side by side, then manifests from the leaves up, the name last, so
 * that nobody ever sees a part.
 *
 * @throws PullError `NOT_FOUND` when `content` lacks a part; otherwise what the registry answered
 */
export async function pushImage(request: PushImageRequest): Promise<PushedImage> {
  const { remote, content, target, credentials, mountFrom, onProgress, signal } = request;
  const reference = parseDockerReference(request.reference);
  await copyImage({
    source: {
      ...contentSource(content, target),
      ...(mountFrom === undefined ? {} : { repository: { registry: reference.domain, path: mountFrom } }),
    },
    target: registryTarget({ remote, reference: request.reference, credentials }),
    onProgress,
    signal,
  });
  return { name: formatReference(reference), digest: target.digest };
}
