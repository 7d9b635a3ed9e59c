import { systemClock, type Clock } from '../base/clock.ts';
import { goQuote } from '../base/go-quote.ts';
import type { ImageStore, Lease } from '../images/image-store.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { hostPlatform } from '../oci/host-platform.ts';
import type { Platform } from '../oci/platform.ts';
import { fallbackMatcher } from '../oci/platform-matcher.ts';
import { formatReference, type Reference } from '../oci/reference.ts';
import type { CredentialSource } from '../remote/credential.ts';
import type { RemoteClient } from '../remote/remote-client.ts';
import { resolveReference, type Resolved } from '../remote/resolve.ts';
import type { RepositorySession } from '../remote/repository-session.ts';
import { writeContent } from '../content/write-content.ts';
import { allOrStop } from './all-or-stop.ts';
import { FlightRecorder, FlightRecords, type FlightRecord } from './flight-record.ts';
import { JoinedFlights } from './joined-flights.ts';
import { LayerPuller, type LayerFlight, type LayerPullerOptions } from './layer-puller.ts';
import {
  checkLayers,
  chooseImage,
  isManifestKind,
  loadDocument,
  readConfig,
  type DocumentContext,
} from './load-image.ts';
import { PartProgress, type ProgressListener } from './progress.ts';
import { PullBoard } from './pull-board.ts';
import { DEFAULT_PROGRESS_TIMEOUT_MS, ProgressWatch } from './progress-watch.ts';
import { asPullError, PullError } from './pull-error.ts';
import { PullCount, type PullMetrics } from './pull-metrics.ts';
import { namesOf, parseForPull } from './pull-reference.ts';

export interface PullerOptions extends LayerPullerOptions {
  readonly remote: RemoteClient;
  readonly images: ImageStore;
  readonly records?: FlightRecords | undefined;
  readonly metrics?: PullMetrics | undefined;
  readonly platform?: Platform;
  /** Milliseconds without a new byte after which a pull is ended; 0 turns that off (rule 17.1). */
  readonly progressTimeoutMs?: number;
  readonly clock?: Clock;
}

export interface PullImageRequest {
  /** As people write it; normalised here (rule 1.13). */
  readonly reference: string;
  /** The machine's own when absent. */
  readonly platform?: Platform;
  readonly credentials?: CredentialSource | undefined;
  /** Calls with equal keys present the same credential and may share one flight; absent: never shared. */
  readonly credentialKey?: string | undefined;
  readonly onProgress?: ProgressListener | undefined;
  /** Reaches the registry in place of the puller's own client; such a pull is not joined with others, its layers are. */
  readonly remote?: RemoteClient | undefined;
  readonly signal: AbortSignal;
}

export interface PulledImage {
  /** Digest of the config: the image ID and what CRI calls image reference (rules 12.5, 12.13). */
  readonly imageId: Digest;
  /** Normalised name that was pulled. */
  readonly name: string;
  /** What the name points at. */
  readonly target: Descriptor;
  readonly manifest: Descriptor;
  /** Bytes of layers that travelled for this pull. */
  readonly fetchedBytes: number;
  /** Identifier of the flight record. */
  readonly flightId: string;
}

/**
 * Pulls images into one node's stores. Identical pulls join into one, and so do identical layers of different pulls;
 * downloads and unpacking are limited for the node, not for the pull.
 */
export class Puller {
  /** Where everything under way is. */
  readonly board = new PullBoard();
  readonly #options: PullerOptions;
  readonly #clock: Clock;
  readonly #layers: LayerPuller;
  readonly #pulls = new JoinedFlights<string, FlownImage>();

  constructor(options: PullerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#layers = new LayerPuller(options, this.#clock);
  }

  /** @throws PullError */
  async pull(request: PullImageRequest): Promise<PulledImage> {
    const { metrics } = this.#options;
    const startedAt = this.#clock.now();
    metrics?.pullBegan();
    try {
      const { image, count, joined } = await this.#join(request);
      const { fetchedBytes, requests } = count.sofar;
      if (joined) metrics?.spared('joined', fetchedBytes, requests);
      const seconds = (this.#clock.now() - startedAt) / 1000;
      metrics?.pullEnded(joined ? { result: 'joined' } : { result: 'pulled', fetchedBytes, seconds });
      return image;
    } catch (error) {
      metrics?.pullEnded({ result: 'failed', code: error instanceof PullError ? error.code : 'STORE' });
      throw error;
    }
  }

  async #join(request: PullImageRequest): Promise<FlownImage & { readonly joined: boolean }> {
    const reference = parseForPull(request.reference);
    const name = formatReference(reference);
    const listeners = this.#listen(name, request);
    let joined = false;
    try {
      if (request.credentialKey === undefined || request.remote !== undefined)
        return { ...(await this.#fly(reference, name, request, listeners.send, request.signal)), joined };
      const key = JSON.stringify([name, request.platform ?? null, request.credentialKey]);
      joined = this.#pulls.has(key);
      const flown = await this.#pulls.join(
        key,
        (signal) => this.#fly(reference, name, request, listeners.send, signal),
        request.signal,
      );
      return { ...flown, joined };
    } catch (error) {
      if (error instanceof PullError) throw error;
      const prefix = `failed to pull and unpack image ${goQuote(name)}`;
      throw request.signal.aborted ? canceled(prefix, error) : asPullError(error, prefix);
    } finally {
      listeners.leave();
    }
  }

  readonly #listeners = new Map<string, Set<ProgressListener>>();

  /** Progress of a joined pull goes to everyone who waits for an image of that name. */
  #listen(name: string, request: PullImageRequest): { send: ProgressListener; leave: () => void } {
    const set = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, set);
    const { onProgress } = request;
    // A listener of its own for each caller, so that the same function given twice is told twice and removed once.
    const own: ProgressListener | undefined =
      onProgress === undefined ? undefined : (event) => onProgress(event);
    if (own !== undefined) set.add(own);
    return {
      send: (event) => {
        for (const listener of this.#listeners.get(name) ?? []) listener(event);
      },
      leave: () => {
        if (own !== undefined) set.delete(own);
        if (set.size === 0 && this.#listeners.get(name) === set) this.#listeners.delete(name);
      },
    };
  }

  async #fly(
    reference: Reference,
    name: string,
    request: PullImageRequest,
    listeners: ProgressListener,
    signal: AbortSignal,
  ): Promise<FlownImage> {
    const startedAt = this.#clock.now();
    const id = FlightRecords.newId(startedAt);
    const recorder = new FlightRecorder();
    const count = new PullCount(this.#options.metrics, this.#clock);
    const send: ProgressListener = (progress) => {
      this.board.note(id, progress);
      listeners(progress);
    };
    const whole = new PartProgress(send, this.#clock, name, 'image');
    const watch = new ProgressWatch(
      this.#clock,
      this.#options.progressTimeoutMs ?? DEFAULT_PROGRESS_TIMEOUT_MS,
    );
    const over = new AbortController();
    const watching = watch.run(over.signal);
    const both = AbortSignal.any([signal, watch.signal]);
    const lease = await this.#options.images.lease(`pull ${name}`);
    let outcome: { imageId: Digest } | { error: PullError } | undefined;
    try {
      const pulled = await this.#run(reference, name, request, {
        send,
        whole,
        recorder,
        count,
        lease,
        watch,
        signal: both,
      });
      outcome = { imageId: pulled.imageId };
      whole.enter('done');
      return { image: { ...pulled, flightId: id }, count };
    } catch (error) {
      const prefix = `failed to pull and unpack image ${goQuote(name)}`;
      const failure = both.aborted ? canceled(prefix, error) : asPullError(error, prefix);
      outcome = { error: failure };
      whole.enter('failed');
      throw failure;
    } finally {
      this.board.over(id);
      over.abort();
      await watching;
      await lease.release();
      await this.#options.records?.keep({
        id,
        image: name,
        startedAt: new Date(startedAt).toISOString(),
        durationMs: this.#clock.now() - startedAt,
        ...(outcome !== undefined && 'imageId' in outcome
          ? { outcome: 'pulled', imageId: outcome.imageId }
          : { outcome: 'failed', ...failureFields(outcome?.error) }),
        ...recorder.hops,
        parts: recorder.parts,
      });
    }
  }

  async #run(
    reference: Reference,
    name: string,
    request: PullImageRequest,
    flight: Flight,
  ): Promise<Omit<PulledImage, 'flightId'>> {
    const { content, images } = this.#options;
    const remote = request.remote ?? this.#options.remote;
    const { lease, signal, whole, recorder, count, watch } = flight;
    const session = remote.repository(reference.domain, reference.path, {
      credentials: request.credentials,
      observe: (hop) => {
        recorder.hop(hop);
        count.requested(hop);
      },
    });
    whole.enter('resolving');
    const resolved = await count.during('resolve', () =>
      watch.during(() => resolve(session, reference, name, signal)),
    );
    const context: DocumentContext = { session, content, lease, watch, count };
    await lease.add(resolved.descriptor.digest);
    if (resolved.bytes !== undefined && isManifestKind(resolved.descriptor)) {
      count.needs(resolved.descriptor.digest);
      count.fetched('manifest', resolved.bytes.length);
      await writeContent(content, resolved.descriptor, [resolved.bytes], signal);
    }
    const matcher = fallbackMatcher(request.platform ?? this.#options.platform ?? hostPlatform());
    const { manifest, image, config } = await count.during('manifest', async () => {
      const chosen = await chooseImage(context, resolved.descriptor, matcher, signal);
      whole.enter('downloading');
      const document = await loadDocument(context, chosen.manifest.config, signal);
      return { manifest: chosen.descriptor, image: chosen.manifest, config: readConfig(document) };
    });
    checkLayers(image, config);
    // Leased before anybody looks whether they are there: a collection between that look and the record takes neither.
    for (const { digest } of image.layers) await lease.add(digest);
    for (const diffId of config.diffIds) await lease.add(diffId);
    // The first failure ends its siblings: nobody waits for layers of an image that cannot come to be.
    const stop = new AbortController();
    const work: LayerFlight = { ...flight, name, session, signal: AbortSignal.any([signal, stop.signal]) };
    try {
      const layers = image.layers
        .flatMap((layer, index) =>
          config.diffIds[index] === undefined ? [] : [{ layer, diffId: config.diffIds[index] }],
        )
        .toSorted((a, b) => b.layer.size - a.layer.size);
      const bytes = await count.during('layers', () =>
        allOrStop(
          stop,
          layers.map(({ layer, diffId }) => this.#layers.bring(layer, diffId, work)),
        ),
      );
      await count.during('commit', async () => {
        await this.#layers.fit(config.diffIds, work.signal);
        await images.put(
          {
            id: image.config.digest,
            manifest,
            config: image.config,
            layers: image.layers,
            diffIds: config.diffIds,
            platform: platformText(config.platform),
            user: config.config.user,
          },
          namesOf(reference, name, resolved.descriptor),
        );
      });
      return {
        imageId: image.config.digest,
        name,
        target: resolved.descriptor,
        manifest,
        fetchedBytes: bytes.reduce((sum, each) => sum + each, 0),
      };
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  }
}

/** An image that was pulled, with what it took: for those who joined the pull. */
interface FlownImage {
  readonly image: PulledImage;
  readonly count: PullCount;
}

interface Flight {
  readonly send: ProgressListener;
  readonly whole: PartProgress;
  readonly recorder: FlightRecorder;
  readonly count: PullCount;
  readonly lease: Lease;
  readonly watch: ProgressWatch;
  readonly signal: AbortSignal;
}

function canceled(prefix: string, cause: unknown): PullError {
  return new PullError('CANCELED', `${prefix}: context canceled`, { cause, retryable: true });
}

async function resolve(
  session: RepositorySession,
  reference: Reference,
  name: string,
  signal: AbortSignal,
): Promise<Resolved> {
  const target =
    reference.digest === undefined ? { tag: reference.tag ?? 'latest' } : { digest: reference.digest };
  try {
    return await resolveReference(session, target, name, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw asPullError(error, `failed to resolve reference ${goQuote(name)}`);
  }
}

function platformText(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant]
    .filter((part) => part !== undefined && part !== '')
    .join('/');
}

function failureFields(error: PullError | undefined): Pick<FlightRecord, 'code' | 'error' | 'answers'> {
  if (error === undefined) return {};
  return { code: error.code, error: error.description, answers: error.answers };
}
