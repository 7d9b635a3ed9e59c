import type { Socket } from 'node:net';
import {
  Server,
  ServerCredentials,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServerWritableStream,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Logger } from '../observe/logger.ts';
import type { Image, ImageService } from '../pull/image-service.ts';
import { CriError } from './cri-error.ts';
import { loadService, MESSAGE_LIMITS, type CriVersion } from './load-definition.ts';
import { wireStatus } from './status-table.ts';
import { authFromWire, imageToWire, specFromWire, usageToWire, type WireImageSpec } from './wire-messages.ts';

/** Images in one message of a stream: small enough for a message of 16 MiB whatever their names. */
const STREAM_CHUNK = 500;
/** How long calls may go on when the server stops, in milliseconds; then they are cut. */
const SHUTDOWN_GRACE_MS = 2_000;

export interface CriCallsOptions {
  readonly imageService: ImageService;
  /** What `verbose` shows of an image beside its status, as JSON under `info`. */
  readonly describeImage?: (image: Image, signal: AbortSignal) => Promise<unknown>;
  /** Answers `Version` as a runtime. */
  readonly version: { readonly runtimeName: string; readonly runtimeVersion: string };
  readonly logger: Logger;
}

/** Answers calls of CRI's image service, as `runtime.v1` and, for older clients, `runtime.v1alpha2` (rules 12.1 to 12.6). */
export class CriCalls {
  readonly #server = new Server(MESSAGE_LIMITS);
  readonly #closing = new AbortController();
  readonly #clients = this.#server.createConnectionInjector(ServerCredentials.createInsecure());

  constructor(options: CriCallsOptions) {
    const { signal } = this.#closing;
    for (const version of ['v1', 'v1alpha2'] as const) {
      const { StreamImages, ...older } = loadService('ImageService', version);
      this.#server.addService(
        version === 'v1' && StreamImages !== undefined ? { StreamImages, ...older } : older,
        imageHandlers(options, signal),
      );
      const { Version } = loadService('RuntimeService', version);
      if (Version !== undefined)
        this.#server.addService({ Version }, versionHandler(options, version, signal));
    }
  }

  /** Speaks gRPC on a connection. */
  take(connection: Socket): void {
    this.#clients.injectConnection(connection);
  }

  /** Stops taking calls and ends those that go on after a moment. */
  async close(): Promise<void> {
    this.#closing.abort(new CriError('UNAVAILABLE', 'the server stops'));
    await new Promise<void>((resolve) => {
      const late = setTimeout(() => this.#server.forceShutdown(), SHUTDOWN_GRACE_MS);
      this.#server.tryShutdown(() => {
        clearTimeout(late);
        resolve();
      });
    });
  }
}

interface FilteredRequest {
  readonly filter: { readonly image: WireImageSpec | null } | null;
}

function imageHandlers(options: CriCallsOptions, closing: AbortSignal): UntypedServiceImplementation {
  const { imageService, describeImage } = options;
  const unary = <Q>(name: string, answer: (request: Q, signal: AbortSignal) => Promise<object>) =>
    unaryHandler(name, options, closing, answer);
  return {
    ListImages: unary('ListImages', async (request: FilteredRequest, signal) => {
      const images = await imageService.listImages(filterOf(request), signal);
      return { images: images.map(imageToWire) };
    }),
    StreamImages: (call: ServerWritableStream<FilteredRequest, object>) => {
      void streamImages(call, options, closing);
    },
    ImageStatus: unary(
      'ImageStatus',
      async (request: { image: WireImageSpec | null; verbose: boolean }, signal) => {
        const image = await imageService.imageStatus(specFromWire(request.image), signal);
        if (image === undefined) return {};
        const info =
          request.verbose && describeImage !== undefined
            ? { info: JSON.stringify(await describeImage(image, signal)) }
            : {};
        return { image: imageToWire(image), info };
      },
    ),
    PullImage: unary(
      'PullImage',
      async (
        request: { image: WireImageSpec | null; auth: Readonly<Record<string, string>> | null },
        signal,
      ) => ({
        imageRef: await imageService.pullImage(
          specFromWire(request.image),
          authFromWire(request.auth),
          signal,
        ),
      }),
    ),
    RemoveImage: unary('RemoveImage', async (request: { image: WireImageSpec | null }, signal) => {
      await imageService.removeImage(specFromWire(request.image), signal);
      return {};
    }),
    ImageFsInfo: unary('ImageFsInfo', async (_request: object, signal) => {
      const info = await imageService.imageFsInfo(signal);
      return {
        imageFilesystems: info.imageFilesystems.map(usageToWire),
        containerFilesystems: info.containerFilesystems.map(usageToWire),
      };
    }),
  };
}

async function streamImages(
  call: ServerWritableStream<FilteredRequest, object>,
  options: CriCallsOptions,
  closing: AbortSignal,
): Promise<void> {
  const signal = signalOf(call, closing);
  try {
    const images = await options.imageService.listImages(filterOf(call.request), signal);
    for (let at = 0; at < images.length; at += STREAM_CHUNK) {
      const more = call.write({ images: images.slice(at, at + STREAM_CHUNK).map(imageToWire) });
      if (!more) await drained(call, signal);
    }
    call.end();
  } catch (error) {
    call.emit('error', reported('StreamImages', error, options));
  }
}

function versionHandler(
  options: CriCallsOptions,
  version: CriVersion,
  closing: AbortSignal,
): UntypedServiceImplementation {
  return {
    Version: unaryHandler('Version', options, closing, () =>
      Promise.resolve({ version: '0.1.0', ...options.version, runtimeApiVersion: version }),
    ),
  };
}

function unaryHandler<Q>(
  name: string,
  options: CriCallsOptions,
  closing: AbortSignal,
  answer: (request: Q, signal: AbortSignal) => Promise<object>,
) {
  const respond = async (call: ServerUnaryCall<Q, object>, done: sendUnaryData<object>): Promise<void> => {
    let response: object;
    try {
      response = await answer(call.request, signalOf(call, closing));
    } catch (error) {
      done(reported(name, error, options));
      return;
    }
    done(null, response);
  };
  return (call: ServerUnaryCall<Q, object>, done: sendUnaryData<object>): void => {
    void respond(call, done);
  };
}

/** Requests are not logged: they can hold credentials. */
function reported(
  name: string,
  error: unknown,
  { logger }: CriCallsOptions,
): ReturnType<typeof wireStatus> & Error {
  const { code, details } = wireStatus(error);
  logger.debug({ call: name, code }, details);
  return Object.assign(new Error(details), { code, details });
}

function filterOf(request: FilteredRequest): { image?: string } | undefined {
  const image = request.filter?.image?.image ?? '';
  return image === '' ? undefined : { image };
}

/** Aborts when the client goes or its time is over, and when the server stops. */
function signalOf(
  call: { readonly cancelled: boolean; on(event: 'cancelled', listener: () => void): unknown },
  closing: AbortSignal,
): AbortSignal {
  const gone = new AbortController();
  call.on('cancelled', () => gone.abort());
  if (call.cancelled) gone.abort();
  return AbortSignal.any([gone.signal, closing]);
}

function drained(call: ServerWritableStream<unknown, unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      call.off('drain', go);
      signal.removeEventListener('abort', stop);
    };
    const go = (): void => {
      leave();
      resolve();
    };
    const stop = (): void => {
      leave();
      reject(
        signal.reason instanceof Error ? signal.reason : new CriError('UNAVAILABLE', 'the client is gone'),
      );
    };
    call.once('drain', go);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
  });
}
