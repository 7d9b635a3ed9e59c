import { systemClock, type Clock } from '../base/clock.ts';
import { goQuote } from '../base/go-quote.ts';
import type { ImageStore, Lease } from '../images/image-store.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { hostPlatform } from '../oci/host-platform.ts';
import type { Platform } from '../oci/platform.ts';
import { fallbackMatcher } from '../oci/platform-matcher.ts';
import {
  formatReference,
  parseDockerReference,
  ReferenceError,
  repositoryOf,
  type Reference,
} from '../oci/reference.ts';
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

export interface PullerOptions extends LayerPullerOptions {
  readonly remote: RemoteClient;
  readonly images: ImageStore;
  readonly records?: FlightRecords | undefined;
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
  readonly #pulls = new JoinedFlights<string, PulledImage>();

  constructor(options: PullerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#layers = new LayerPuller(options, this.#clock);
  }

  /** @throws PullError */
  async pull(request: PullImageRequest): Promise<PulledImage> {
    const reference = parseForPull(request.reference);
    const name = formatReference(reference);
    const listeners = this.#listen(name, request);
    try {
      if (request.credentialKey === undefined || request.remote !== undefined)
        return await this.#fly(reference, name, request, listeners.send, request.signal);
      const key = JSON.stringify([name, request.platform ?? null, request.credentialKey]);
      return await this.#pulls.join(
        key,
        (signal) => this.#fly(reference, name, request, listeners.send, signal),
        request.signal,
      );
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
  ): Promise<PulledImage> {
    const startedAt = this.#clock.now();
    const id = FlightRecords.newId(startedAt);
    const recorder = new FlightRecorder();
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
        lease,
        watch,
        signal: both,
      });
      outcome = { imageId: pulled.imageId };
      whole.enter('done');
      return { ...pulled, flightId: id };
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
    const { lease, signal, whole, recorder, watch } = flight;
    const session = remote.repository(reference.domain, reference.path, {
      credentials: request.credentials,
      observe: recorder.hop,
    });
    whole.enter('resolving');
    const resolved = await watch.during(() => resolve(session, reference, name, signal));
    const context: DocumentContext = { session, content, lease, watch };
    await lease.add(resolved.descriptor.digest);
    if (resolved.bytes !== undefined && isManifestKind(resolved.descriptor))
      await writeContent(content, resolved.descriptor, [resolved.bytes], signal);
    const matcher = fallbackMatcher(request.platform ?? this.#options.platform ?? hostPlatform());
    const { descriptor: manifest, manifest: image } = await chooseImage(
      context,
      resolved.descriptor,
      matcher,
      signal,
    );
    whole.enter('downloading');
    const config = readConfig(await loadDocument(context, image.config, signal));
    checkLayers(image, config);
    // Leased before anybody looks whether they are there: a collection between that look and the record takes neither.
    for (const { digest } of image.layers) await lease.add(digest);
    for (const diffId of config.diffIds) await lease.add(diffId);
    // The first failure ends its siblings: nobody waits for layers of an image that cannot come to be.
    const stop = new AbortController();
    const work: LayerFlight = { ...flight, name, session, signal: AbortSignal.any([signal, stop.signal]) };
    try {
      const bytes = await allOrStop(
        stop,
        image.layers
          .flatMap((layer, index) =>
            config.diffIds[index] === undefined ? [] : [{ layer, diffId: config.diffIds[index] }],
          )
          .toSorted((a, b) => b.layer.size - a.layer.size)
          .map(({ layer, diffId }) => this.#layers.bring(layer, diffId, work)),
      );
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

interface Flight {
  readonly send: ProgressListener;
  readonly whole: PartProgress;
  readonly recorder: FlightRecorder;
  readonly lease: Lease;
  readonly watch: ProgressWatch;
  readonly signal: AbortSignal;
}

function canceled(prefix: string, cause: unknown): PullError {
  return new PullError('CANCELED', `${prefix}: context canceled`, { cause, retryable: true });
}

function parseForPull(text: string): Reference {
  try {
    return parseDockerReference(text);
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    throw new PullError(
      'INVALID_REFERENCE',
      `failed to parse image reference ${goQuote(text)}: ${error.message}`,
      {
        cause: error,
      },
    );
  }
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

/** The names an image has after a pull: its tag, if it was pulled by one, and the repository with the digest (rule 12.13). */
function namesOf(
  reference: Reference,
  name: string,
  target: Descriptor,
): { name: string; target: Descriptor }[] {
  const byDigest = { name: `${repositoryOf(reference)}@${target.digest}`, target };
  return reference.digest === undefined ? [{ name, target }, byDigest] : [byDigest];
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
