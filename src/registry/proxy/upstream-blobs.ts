import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import { Limiter } from '../../base/limiter.ts';
import { SingleFlight } from '../../base/single-flight.ts';
import type { FileStore } from '../../content/file-store.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import { openBlob } from '../../remote/fetch-content.ts';
import { RemoteError } from '../../remote/remote-error.ts';
import { reserveBlob } from '../commit-blob.ts';
import type { RegistryMetrics } from '../http/registry-metrics.ts';
import type { ManifestBytes } from '../manifest-bytes.ts';
import type { Metadata } from '../metadata/metadata.ts';
import { RegistryError } from '../registry-error.ts';
import { blobUnknown } from '../unknown-content.ts';
import { BlobFlight } from './blob-flight.ts';
import type { UpstreamConnections } from './upstream-connections.ts';
import { upstreamFailure } from './upstream-failure.ts';
import type { UpstreamRepository } from './upstreams.ts';

/** Downloads from upstreams at a time. */
const DOWNLOADS = 16;

export interface UpstreamBlobsParts {
  readonly store: FileStore;
  readonly metadata: Metadata;
  readonly manifestBytes: ManifestBytes;
  readonly metrics: RegistryMetrics;
  readonly clock: Clock;
  readonly connections: UpstreamConnections;
}

/** Brings blobs here, each in one download however many clients want it. */
export class UpstreamBlobs {
  readonly #parts: UpstreamBlobsParts;
  readonly #opening = new SingleFlight<string, BlobFlight | undefined>();
  readonly #flights = new Map<string, BlobFlight>();
  readonly #downloads = new Limiter(DOWNLOADS);

  constructor(parts: UpstreamBlobsParts) {
    this.#parts = parts;
  }

  /**
   * Returns the descriptor of a blob that some manifest here names; undefined for one that is here already, or that nothing
   * names.
   */
  async absent(target: UpstreamRepository, digest: Digest): Promise<Descriptor | undefined> {
    const { metadata, manifestBytes, metrics } = this.#parts;
    if ((await metadata.blobs.findBlob(target.local, digest)) !== undefined) {
      metrics.cacheAnswered(target.upstream.prefix, 'hit');
      return undefined;
    }
    for (const manifest of await metadata.upstream.manifestsNaming(target.local, digest)) {
      const document = JSON.parse(Buffer.from(await manifestBytes.read(manifest)).toString()) as {
        config?: Descriptor;
        layers?: readonly Descriptor[] | null;
        blobs?: readonly Descriptor[] | null;
      };
      const { config, layers, blobs } = document;
      const found = [config, ...(layers ?? []), ...(blobs ?? [])].find(
        (descriptor) => descriptor?.digest === digest,
      );
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Joins or starts the download of a blob. The bytes are stored even when nobody reads them any more. */
  async open(
    target: UpstreamRepository,
    descriptor: Descriptor,
    range: { offset: number; length: number },
  ): Promise<Readable> {
    const flight = await this.#flightOf(target, descriptor);
    return flight === undefined ? this.#parts.store.open(descriptor.digest, range) : flight.read(range);
  }

  /** Waits until all downloads have ended. */
  async idle(): Promise<void> {
    await Promise.allSettled([...this.#flights.values()].map((flight) => flight.done));
  }

  /** Returns undefined when the blob has come here since somebody looked. */
  #flightOf(target: UpstreamRepository, descriptor: Descriptor): Promise<BlobFlight | undefined> {
    const { metadata, metrics } = this.#parts;
    const key = `${target.local} ${descriptor.digest}`;
    return this.#opening.do(key, async () => {
      const flying = this.#flights.get(key);
      if (flying?.failed === false) return flying;
      // One that failed still holds its file for a moment.
      await flying?.done.catch(() => {});
      if ((await metadata.blobs.findBlob(target.local, descriptor.digest)) !== undefined) return undefined;
      metrics.cacheAnswered(target.upstream.prefix, 'miss');
      const flight = await this.#start(target, descriptor);
      this.#flights.set(key, flight);
      const forget = (): void => {
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
      };
      flight.done.then(forget, forget);
      return flight;
    });
  }

  async #start(target: UpstreamRepository, descriptor: Descriptor): Promise<BlobFlight> {
    const { store, metadata, metrics, clock, connections } = this.#parts;
    const { digest, size } = descriptor;
    // Another process may fetch the same: each has a file of its own, and one of them is kept.
    const ingest = await store.openExternalIngest(`upstream/${target.local}@${digest} ${randomUUID()}`);
    const session = connections.session(target);
    return new BlobFlight({
      digest,
      size,
      ingest,
      signal: connections.closing,
      openStored: (range) => store.open(digest, range),
      received: (bytes) => metrics.upstreamSent(target.upstream.prefix, bytes),
      open: (offset, signal) =>
        this.#downloads
          .run(() => openBlob(session, descriptor, { offset }, signal), signal)
          .catch((error: unknown) => {
            if (!(error instanceof RemoteError)) throw error;
            if (error.code === 'NOT_FOUND') throw blobUnknown(digest, error);
            throw upstreamFailure(target.upstream.registry, error, connections.limits(target));
          }),
      reserve: () => reserveBlob({ blobs: metadata.blobs, clock }, digest),
      link: async () => {
        if (await metadata.blobs.linkBlob(target.local, { digest, size })) return;
        throw new RegistryError('UNAVAILABLE', 'content was collected while it was stored', {
          retryable: true,
        });
      },
    });
  }
}
