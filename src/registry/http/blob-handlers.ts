import { ContentError } from '../../content/content-error.ts';
import type { Digest } from '../../oci/digest.ts';
import { RegistryError } from '../registry-error.ts';
import { blobUnknown } from '../unknown-content.ts';
import type { Answer } from './answer.ts';
import { contentAnswer, contentConditions, deleted } from './content-answer.ts';
import type { Exchange, Service } from './exchange.ts';

/** Blobs never change; they are private because a shared cache would serve them to whoever asks. */
export const BLOB_CACHE = 'private, max-age=31536000, immutable';

/** GET and HEAD of a blob. @see OCI distribution-spec v1.1.1, "Pulling blobs" */
export async function getBlob(
  service: Service,
  { message }: Exchange,
  { repository, digest }: { repository: string; digest: Digest },
): Promise<Answer> {
  const blob = await service.metadata.blobs.findBlob(repository, digest);
  if (blob === undefined) throw blobUnknown(digest);
  const conditions = contentConditions(message);
  // A client that hears of a blob does not push it again, so it must stay as if it had been pushed now.
  if (conditions.method === 'HEAD' && blob.renewedAt + service.renewAfterMs < service.clock.now()) {
    await service.metadata.blobs.renewBlob(repository, digest);
  }
  try {
    return await contentAnswer(
      {
        digest,
        size: blob.size,
        mediaType: 'application/octet-stream',
        cacheControl: BLOB_CACHE,
        open: (range = { offset: 0, length: blob.size }) => service.blobReader.open(digest, range),
      },
      conditions,
    );
  } catch (error) {
    if (!(error instanceof ContentError && error.code === 'NOT_FOUND')) throw error;
    service.logger.error({ repository, digest }, 'blob is linked but its bytes are gone');
    throw blobUnknown(digest, error);
  }
}

/** DELETE of a blob: takes it out of this repository. */
export async function deleteBlob(
  service: Service,
  { repository, digest }: { repository: string; digest: Digest },
): Promise<Answer> {
  switch (await service.metadata.blobs.unlinkBlob(repository, digest)) {
    case 'removed':
      return deleted();
    case 'unknown':
      throw blobUnknown(digest);
    case 'needed':
      throw new RegistryError('UNSUPPORTED', 'a manifest of this repository needs the blob', {
        headers: { Allow: 'GET, HEAD' },
        detail: { digest },
      });
  }
}
