import type { IncomingMessage } from 'node:http';
import type { Digest } from '../../oci/digest.ts';
import { governingProject } from '../project-policies.ts';
import { RegistryError } from '../registry-error.ts';
import { uploadHeaders, type UploadBody } from '../upload-sessions.ts';
import { emptyAnswer, type Answer } from './answer.ts';
import { readContentRange } from './byte-range.ts';
import type { Exchange, Service } from './exchange.ts';
import { mayPull } from './guard.ts';

interface UploadKey {
  readonly repository: string;
  readonly upload: string;
}

/** Repositories looked at for an anonymous mount before giving up: a base layer may be in thousands. */
const MOUNT_CANDIDATES = 100;

/** POST without a digest: begins an upload. */
export async function startUpload(
  service: Service,
  { caller }: Exchange,
  { repository, algorithm }: { repository: string; algorithm: string },
): Promise<Answer> {
  const id = await service.uploads.start(repository, algorithm, caller.identity.account);
  return emptyAnswer(202, uploadHeaders(repository, id, 0));
}

/** POST with `digest`: the body is the blob. A body that is not there means that the client wants to send it later. */
export async function pushBlob(
  service: Service,
  exchange: Exchange,
  { repository, digest }: { repository: string; digest: Digest },
): Promise<Answer> {
  const { message, caller } = exchange;
  const { account } = caller.identity;
  if (message.headers['content-length'] === '0' && !isEmptyDigest(digest)) {
    return startUpload(service, exchange, { repository, algorithm: digest.slice(0, digest.indexOf(':')) });
  }
  await service.uploads.push(repository, digest, bodyOf(message), account);
  return created(repository, digest);
}

/** POST with `mount`: links a blob that the caller may pull, else begins an upload. */
export async function mountBlob(
  service: Service,
  exchange: Exchange,
  { repository, digest, from }: { repository: string; digest: Digest; from?: string },
): Promise<Answer> {
  const source = from ?? (await findSource(service, exchange, digest));
  if (
    source !== undefined &&
    (from === undefined || (await mayPull(service.rights, exchange.caller, source)))
  ) {
    const blob = await service.metadata.blobs.mountBlob(
      source,
      repository,
      digest,
      await limitOf(service, repository),
    );
    if (blob !== undefined) return created(repository, digest);
  }
  return startUpload(service, exchange, { repository, algorithm: digest.slice(0, digest.indexOf(':')) });
}

/** Returns the quota that a mount into a repository has to keep. */
async function limitOf(
  service: Service,
  repository: string,
): Promise<{ project: string; quotaBytes: number } | undefined> {
  const { name: project, policy } = await governingProject(service.metadata.projects, repository);
  const { quotaBytes } = policy;
  return project === undefined || quotaBytes === undefined ? undefined : { project, quotaBytes };
}

/** Finds a repository with the blob that the caller could pull it from, whatever its token was asked for. */
async function findSource(
  service: Service,
  { caller }: Exchange,
  digest: Digest,
): Promise<string | undefined> {
  for (const name of await service.metadata.blobs.repositoriesWith(digest, '', MOUNT_CANDIDATES)) {
    if ((await service.rights.actionsOn(caller.identity, name)).has('pull')) return name;
  }
  return undefined;
}

/** GET of an upload. */
export async function uploadStatus(service: Service, { repository, upload }: UploadKey): Promise<Answer> {
  const offset = await service.uploads.status(repository, upload);
  return emptyAnswer(204, uploadHeaders(repository, upload, offset));
}

/** PATCH: a chunk with a range, or bytes for the end. */
export async function appendUpload(
  service: Service,
  { message }: Exchange,
  { repository, upload }: UploadKey,
): Promise<Answer> {
  const offset = await service.uploads.append(repository, upload, bodyOf(message));
  return emptyAnswer(202, uploadHeaders(repository, upload, offset));
}

/** PUT: the last bytes, if any, and the digest of all. */
export async function finishUpload(
  service: Service,
  { message }: Exchange,
  { repository, upload, digest }: UploadKey & { digest: Digest },
): Promise<Answer> {
  await service.uploads.finish(repository, upload, digest, bodyOf(message));
  return created(repository, digest);
}

/** DELETE of an upload. */
export async function cancelUpload(service: Service, { repository, upload }: UploadKey): Promise<Answer> {
  await service.uploads.cancel(repository, upload);
  return emptyAnswer(204);
}

function created(repository: string, digest: Digest): Answer {
  return emptyAnswer(201, {
    Location: `/v2/${repository}/blobs/${digest}`,
    'Docker-Content-Digest': digest,
  });
}

/** @throws RegistryError `BLOB_UPLOAD_INVALID`, `SIZE_INVALID` */
function bodyOf(message: IncomingMessage): UploadBody {
  const header = message.headers['content-range'];
  const announced = message.headers['content-length'];
  const sized = { stream: message, ...(announced === undefined ? {} : { length: Number(announced) }) };
  if (header === undefined) return sized;
  const range = readContentRange(header);
  if (range === undefined) {
    throw new RegistryError('BLOB_UPLOAD_INVALID', 'content range is not <first>-<last>', {
      detail: { 'Content-Range': header },
    });
  }
  if (announced === '0') return sized;
  if (announced !== undefined && Number(announced) !== range.last - range.first + 1) {
    throw new RegistryError('SIZE_INVALID', 'content length does not match content range');
  }
  return { ...sized, range };
}

function isEmptyDigest(digest: Digest): boolean {
  return EMPTY.has(digest);
}

/** Digests of no bytes, which a POST of length 0 may well mean. */
const EMPTY: ReadonlySet<string> = new Set([
  'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  'sha384:38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b',
  'sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e',
]);
