import { ArchiveError } from '../archive/archive-error.ts';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/coded-error.ts';
import { goQuote } from '../base/go-quote.ts';
import { Limiter } from '../base/limiter.ts';
import type { ContentStore } from '../content/store.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { openBlob } from '../remote/fetch-content.ts';
import { releaseChunk } from '../remote/release-chunk.ts';
import type { RepositorySession } from '../remote/repository-session.ts';
import { DownloadQueue, type DownloadLimits, type PullWait, type QueuedLayer } from './download-queue.ts';
import { fetchAndUnpack, fetchBlob, isHeld, type FetchContext } from './fetch-layer.ts';
import type { FlightPart, FlightRecorder } from './flight-record.ts';
import { JoinedFlights } from './joined-flights.ts';
import type { LayerUnpacker } from './layer-unpacker.ts';
import { fetchError, refuseEmpty } from './load-image.ts';
import { PartProgress, type ProgressListener } from './progress.ts';
import type { ProgressWatch } from './progress-watch.ts';
import { DEFAULT_CONNECTIONS_PER_LAYER } from './ranged-download.ts';
import { PullError } from './pull-error.ts';
import type { PullCount } from './pull-metrics.ts';

/**
 * Layers whose bytes are all there and that are being finished while others are downloaded in their place: with many small layers
 * that is most of the time. Each holds a window of bytes at most.
 */
const PARALLEL_ENDINGS = 4;

/** Layers of a node that are unpacked at a time: each keeps a core busy inflating. */
export const DEFAULT_PARALLEL_UNPACKS = 2;

export interface LayerPullerOptions extends DownloadLimits {
  readonly content: ContentStore;
  /** Absent: layers are fetched, not unpacked. */
  readonly unpacker?: LayerUnpacker | undefined;
  readonly parallelUnpacks?: number;
  /** Connections that one large layer may have at a time where one is slow; {@link DEFAULT_CONNECTIONS_PER_LAYER} when absent. */
  readonly connectionsPerLayer?: number;
}

/** The pull for which a layer is brought. */
export interface LayerFlight {
  /** Normalised name of the image. */
  readonly name: string;
  readonly session: RepositorySession;
  readonly send: ProgressListener;
  readonly recorder: Pick<FlightRecorder, 'parts'>;
  readonly count: PullCount;
  readonly watch: ProgressWatch;
  readonly signal: AbortSignal;
}

interface LayerOutcome {
  readonly bytes: number;
  readonly held: boolean;
}

/** Brings layers onto one node: each once, however many pulls want it, and so many at a time as the node allows. */
export class LayerPuller {
  readonly #options: LayerPullerOptions;
  readonly #clock: Clock;
  readonly #downloads: DownloadQueue;
  readonly #endings = new Limiter(PARALLEL_ENDINGS);
  readonly #unpacks: Limiter;
  readonly #layers = new JoinedFlights<string, LayerOutcome>();
  /** Which pull brings a layer, for those who wait for it. */
  readonly #bringers = new Map<string, QueuedLayer>();
  readonly #unpacking = new JoinedFlights<string, void>();
  /** Settles when all looks at the disk have ended that began before. */
  #looks: Promise<unknown> = Promise.resolve();

  constructor(options: LayerPullerOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#downloads = new DownloadQueue(options);
    this.#unpacks = new Limiter(options.parallelUnpacks ?? DEFAULT_PARALLEL_UNPACKS);
  }

  /** Brings and unpacks one layer; returns the bytes that travelled for this pull. @throws PullError */
  async bring(layer: Descriptor, diffId: Digest, flight: LayerFlight): Promise<number> {
    const { signal, recorder, count } = flight;
    const progress = new PartProgress(flight.send, this.#clock, flight.name, 'layer', layer);
    progress.timed(count.layerTook);
    const first = count.needs(layer.digest);
    const startedAt = this.#clock.now();
    const part = (decision: FlightPart['decision'], bytes: number): void => {
      const durationMs = this.#clock.now() - startedAt;
      recorder.parts.push({ digest: layer.digest, size: layer.size, decision, bytes, durationMs });
    };
    try {
      const outcome = await this.#joinLayer(layer, diffId, progress, flight);
      part(outcome.decision, outcome.bytes);
      if (first) tellSpared(count, layer, outcome);
      await this.#unpack(layer, diffId, progress, signal);
      progress.enter('done', layer.size);
      return outcome.bytes;
    } catch (error) {
      part('failed', 0);
      signal.throwIfAborted();
      throw error;
    }
  }

  /**
   * Makes sure that unpacked layers fit together, so that a hard link to nowhere fails the pull and not every container later.
   *
   * @throws PullError `UNPACK`
   */
  async fit(diffIds: readonly Digest[], signal: AbortSignal): Promise<void> {
    try {
      await this.#options.unpacker?.stack?.(diffIds, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw new PullError('UNPACK', `failed to extract layers: ${messageOf(error)}`, { cause: error });
    }
  }

  async #joinLayer(
    layer: Descriptor,
    diffId: Digest,
    progress: PartProgress,
    flight: LayerFlight,
  ): Promise<{ bytes: number; decision: FlightPart['decision'] }> {
    const { signal } = flight;
    // Two images may claim different diff IDs for one layer: neither must fail by the other's claim.
    const key = `${layer.digest} ${diffId}`;
    const run = async (flightSignal: AbortSignal): Promise<LayerOutcome> => {
      this.#bringers.set(key, { image: flight.name, digest: layer.digest });
      try {
        return await this.#fetch(layer, diffId, progress, flight, flightSignal);
      } finally {
        this.#bringers.delete(key);
      }
    };
    if (this.#layers.has(key)) {
      const bringer = this.#bringers.get(key);
      progress.wait('shared', { for: 'layer', behind: bringer === undefined ? [] : [bringer] });
      try {
        const { held } = await this.#layers.join(key, run, signal);
        return { bytes: 0, decision: held ? 'held' : 'shared' };
      } catch {
        // The other pull's credential, registry or patience ended; this one has its own.
        signal.throwIfAborted();
      }
    }
    progress.enter('queued');
    const { bytes, held } = await this.#layers.join(key, run, signal);
    return { bytes, decision: held ? 'held' : 'fetched' };
  }

  async #fetch(
    layer: Descriptor,
    diffId: Digest,
    progress: PartProgress,
    { name, session, watch, count }: LayerFlight,
    signal: AbortSignal,
  ): Promise<LayerOutcome> {
    const { content, unpacker } = this.#options;
    refuseEmpty(layer);
    if (await this.#isHeldInTurn(layer)) return { bytes: 0, held: true };
    const context: FetchContext = {
      open: (blob, range, openSignal) => openBlob(session, blob, range, openSignal),
      content,
      clock: this.#clock,
      release: releaseChunk,
      onTravelled: (bytes) => count.fetched('blob', bytes),
      connectionsPerLayer: this.#options.connectionsPerLayer ?? DEFAULT_CONNECTIONS_PER_LAYER,
      onBytes: (held) => {
        watch.progress();
        progress.at(held);
      },
      onVerify: () => progress.enter('verifying'),
    };
    try {
      const place = {
        layer: { image: name, digest: layer.digest },
        registry: session.registry,
        tell: (wait: PullWait) => progress.wait('queued', wait),
      };
      let bytes: Promise<number> = Promise.resolve(0);
      await this.#downloads.run(
        place,
        async () => {
          progress.enter('downloading');
          const streams = unpacker !== undefined && !(await unpacker.isUnpacked(diffId));
          const { promise: arrived, resolve } = Promise.withResolvers<void>();
          const ending: FetchContext['ending'] = (task) =>
            this.#endings.run(() => {
              resolve();
              return task();
            });
          bytes = watch.during(() =>
            streams
              ? fetchAndUnpack({ ...context, ending }, unpacker, layer, diffId, signal)
              : fetchBlob(context, layer, signal),
          );
          // The next one may come as soon as the bytes of this one are there.
          await Promise.race([arrived, bytes]);
        },
        signal,
      );
      return { bytes: await bytes, held: false };
    } catch (error) {
      signal.throwIfAborted();
      throw fetchError(error, layer);
    }
  }

  /**
   * Tells whether a layer is held, after it has told of those that were asked about before: looks at the disk end in any order, and who
   * was first in the order of sizes shall enter the queue first.
   */
  async #isHeldInTurn(layer: Descriptor): Promise<boolean> {
    const before = this.#looks;
    const look = isHeld(this.#options.content, layer);
    this.#looks = Promise.allSettled([before, look]);
    await before;
    return look;
  }

  /** Unpacks what was held before, or could not be unpacked while it arrived. */
  async #unpack(
    layer: Descriptor,
    diffId: Digest,
    progress: PartProgress,
    signal: AbortSignal,
  ): Promise<void> {
    const { unpacker } = this.#options;
    if (unpacker === undefined || (await unpacker.isUnpacked(diffId))) return;
    try {
      await this.#unpacking.join(
        `${layer.digest} ${diffId}`,
        (flightSignal) =>
          this.#unpacks.run(async () => {
            progress.enter('unpacking', layer.size);
            await unpacker.unpack(layer, diffId, flightSignal);
          }, flightSignal),
        signal,
      );
    } catch (error) {
      signal.throwIfAborted();
      throw unpackError(layer, diffId, error);
    }
  }
}

/** Tells what of a layer did not travel for this pull. */
function tellSpared(
  count: PullCount,
  layer: Descriptor,
  { decision, bytes }: { readonly decision: FlightPart['decision']; readonly bytes: number },
): void {
  // An earlier attempt may have got to the last byte, and only the look at them was missing.
  if (decision === 'held' || bytes === 0) count.spared(decision === 'shared' ? 'shared' : 'held', layer.size);
  else if (bytes < layer.size) count.spared('resumed', layer.size - bytes, 0);
}

/** Words a layer that cannot be unpacked as containerd's unpacker does, without its key, which is another each time. */
function unpackError({ mediaType, digest }: Descriptor, diffId: Digest, cause: unknown): PullError {
  const wrong = cause instanceof ArchiveError && cause.code === 'DIGEST_MISMATCH';
  return new PullError(
    'UNPACK',
    wrong
      ? `wrong diff id calculated on extraction ${goQuote(diffId)}`
      : `failed to extract layer (${mediaType} ${digest}) to overlayfs: ${messageOf(cause)}`,
    { cause },
  );
}
