import { messageOf } from '../base/coded-error.ts';
import type { AuthConfig, Image, ImageFsInfo, ImageService, ImageSpec } from '../pull/image-service.ts';
import { PullError, type PullErrorCode, type PullStatus } from '../pull/pull-error.ts';
import { CriCallError, CriConnection } from './cri-connection.ts';
import { CriError } from './cri-error.ts';
import {
  authToWire,
  imageFromWire,
  usageFromWire,
  type WireFilesystemUsage,
  type WireImage,
} from './wire-messages.ts';

/** How gRPC's codes are those of a pull; every other keeps its own text. */
const PULL_CODES: Readonly<Record<PullStatus, PullErrorCode>> = {
  NotFound: 'NOT_FOUND',
  FailedPrecondition: 'BAD_IMAGE',
  InvalidArgument: 'BAD_IMAGE',
  Canceled: 'CANCELED',
  Unimplemented: 'UNSUPPORTED',
  Unknown: 'STORE',
};

/** The images of another runtime, such as containerd or CRI-O, as a node uses them. */
export class CriImageService implements ImageService {
  readonly #connection: CriConnection;

  constructor(connection: CriConnection) {
    this.#connection = connection;
  }

  async listImages(filter: { image?: string } | undefined, signal: AbortSignal): Promise<Image[]> {
    const request = filter?.image === undefined ? {} : { filter: { image: { image: filter.image } } };
    const { images } = await this.#connection.call<{ images: WireImage[] }>('ListImages', request, signal);
    return images.map(imageFromWire);
  }

  async imageStatus(spec: ImageSpec, signal: AbortSignal): Promise<Image | undefined> {
    const { image } = await this.#connection.call<{ image: WireImage | null }>(
      'ImageStatus',
      { image: spec },
      signal,
    );
    if (image === null) return undefined;
    // An image that is not whole would be run and counted as nothing (rule 12.7).
    if (image.id === '' || image.size === '0')
      throw new CriError('BAD_ANSWER', `Id or size of image "${spec.image}" is not set`);
    return imageFromWire(image);
  }

  /** @throws PullError */
  async pullImage(spec: ImageSpec, auth: AuthConfig | undefined, signal: AbortSignal): Promise<string> {
    const request = { image: spec, auth: authToWire(auth) };
    let imageRef: string;
    try {
      ({ imageRef } = await this.#connection.call<{ imageRef: string }>('PullImage', request, signal, 0));
    } catch (error) {
      if (error instanceof CriCallError) throw asPullFailure(error);
      throw error;
    }
    if (imageRef === '') throw new PullError('BAD_RESPONSE', `imageRef of image "${spec.image}" is not set`);
    return imageRef;
  }

  async removeImage(spec: ImageSpec, signal: AbortSignal): Promise<void> {
    await this.#connection.call('RemoveImage', { image: spec }, signal);
  }

  async imageFsInfo(signal: AbortSignal): Promise<ImageFsInfo> {
    const info = await this.#connection.call<{
      imageFilesystems: WireFilesystemUsage[];
      containerFilesystems: WireFilesystemUsage[];
    }>('ImageFsInfo', {}, signal);
    return {
      imageFilesystems: info.imageFilesystems.map(usageFromWire),
      containerFilesystems: info.containerFilesystems.map(usageFromWire),
    };
  }

  close(): void {
    this.#connection.close();
  }
}

/** Shows the text alone when the runtime gave no code, the whole error otherwise (rule 12.8). */
function asPullFailure(error: CriCallError): PullError {
  const { status, description } = error;
  if (Object.hasOwn(PULL_CODES, status)) {
    const known = status as PullStatus;
    return new PullError(PULL_CODES[known], description, { cause: error, status: known });
  }
  const code = status === 'Unavailable' ? 'UNREACHABLE' : status === 'DeadlineExceeded' ? 'TIMEOUT' : 'STORE';
  return new PullError(code, error.message, { cause: error, status: 'Unknown', retryable: error.retryable });
}

/**
 * Connects to the image service of a runtime and makes sure that somebody answers (rule 12.9).
 *
 * @param endpoint `unix:///run/containerd/containerd.sock`
 * @param requestTimeoutMs limit of every call but pulls
 * @throws CriError `BAD_ENDPOINT`; `UNAVAILABLE` with the kubelet's text
 */
export async function criImageService(
  endpoint: string,
  signal: AbortSignal,
  requestTimeoutMs?: number,
): Promise<CriImageService> {
  const service = new CriImageService(new CriConnection('ImageService', endpoint, requestTimeoutMs));
  try {
    await service.imageFsInfo(signal);
    return service;
  } catch (error) {
    service.close();
    throw new CriError(
      'UNAVAILABLE',
      `validate CRI v1 image API for endpoint "${endpoint}": ${messageOf(error)}`,
      { cause: error },
    );
  }
}
