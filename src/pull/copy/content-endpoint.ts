import { systemClock } from '../../base/clock.ts';
import { ContentError } from '../../content/content-error.ts';
import type { Ingester, Provider } from '../../content/store.ts';
import { readVerified } from '../../content/verified-reader.ts';
import { writeContent } from '../../content/write-content.ts';
import type { Lease } from '../../images/image-store.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { RemoteError } from '../../remote/remote-error.ts';
import type { DownloadContext } from '../download.ts';
import { fetchBlob, isHeld } from '../fetch-layer.ts';
import { PullError } from '../pull-error.ts';
import { DEFAULT_CONNECTIONS_PER_LAYER } from '../ranged-download.ts';
import type { CopySource, CopyTarget } from './endpoint.ts';

/** Reads an image from held content. */
export function contentSource(content: Pick<Provider, 'open' | 'stat'>, root: Descriptor): CopySource {
  return {
    resolve: () => Promise.resolve(root),
    document: async (descriptor, limit, signal) => {
      try {
        return await readVerified(content, descriptor, signal, limit);
      } catch (error) {
        throw missing(error, descriptor);
      }
    },
    blobs: contentBlobs(content),
  };
}

/** Opens held blobs as a download does. */
export function contentBlobs(content: Pick<Provider, 'open'>): DownloadContext {
  return {
    open: async (descriptor, { offset = 0 }) => {
      try {
        const body = await content.open(descriptor.digest, offset === 0 ? undefined : { offset });
        return { body, offset, host: 'this machine' };
      } catch (error) {
        throw missing(error, descriptor);
      }
    },
    clock: systemClock,
  };
}

/**
 * Takes an image into a content store.
 *
 * @param publish makes it visible under its name
 * @param lease protects what is taken until it is
 */
export function contentTarget(
  content: Provider & Ingester,
  lease: Pick<Lease, 'add' | 'release'>,
  publish: (root: Descriptor, signal: AbortSignal) => Promise<void>,
): CopyTarget {
  const putManifest = async (descriptor: Descriptor, bytes: Buffer, signal: AbortSignal): Promise<void> => {
    await lease.add(descriptor.digest);
    await writeContent(content, descriptor, [bytes], signal);
  };
  return {
    putBlob: async (descriptor, source, onBytes, signal) => {
      await lease.add(descriptor.digest);
      if (await isHeld(content, descriptor)) return 'existed';
      const connectionsPerLayer = DEFAULT_CONNECTIONS_PER_LAYER;
      await fetchBlob({ ...source.blobs, content, onBytes, connectionsPerLayer }, descriptor, signal);
      return 'uploaded';
    },
    putManifest,
    takesReferrers: false,
    publish: async (root, bytes, signal) => {
      await putManifest(root, bytes, signal);
      await publish(root, signal);
    },
    close: () => lease.release(),
  };
}

function missing(error: unknown, descriptor: Descriptor): unknown {
  if (!(error instanceof ContentError) || error.code !== 'NOT_FOUND') return error;
  const text = `content ${descriptor.digest} (${descriptor.mediaType}) is not held: not found`;
  return descriptor.mediaType.includes('manifest') || descriptor.mediaType.includes('index')
    ? new PullError(
        'NOT_FOUND',
        `${text.replace(/: not found$/, '')}: pull all platforms or name one: not found`,
        {
          cause: error,
        },
      )
    : new RemoteError('NOT_FOUND', text, { cause: error, status: 404 });
}
