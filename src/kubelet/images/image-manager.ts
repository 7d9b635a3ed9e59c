import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/coded-error.ts';
import type { Limiter } from '../../base/limiter.ts';
import { LruMap } from '../../base/lru-map.ts';
import type { TraceStep } from '../../base/trace.ts';
import type { Candidate } from '../../credentials/keyring.ts';
import { applyDefaultTag } from '../../oci/reference.ts';
import type { ImageService, ImageSpec } from '../../pull/image-service.ts';
import type {
  EnsureImageRequest,
  EnsureImageResult,
  EventObject,
  EventRecorder,
  ImageManager,
} from '../ensure-image.ts';
import type { ImageManagerMetrics } from './image-metrics.ts';
import * as text from './image-messages.ts';
import { PullBackOff, backOffKey } from './pull-back-off.ts';
import { podCredentialsOf, recordedFor, type CandidateLookup } from './pull-candidate.ts';
import { lookUpOnce } from './look-up-once.ts';
import { CandidatePuller, runtimeSignal } from './candidate-puller.ts';
import { eventObject, specOf, untilAborted } from './image-request.ts';
import { PullJournal } from './pull-journal.ts';
import { pullQueue } from './pull-queue.ts';
import type { PulledImages } from './pulled-images.ts';
import type { ImageSettings } from './settings.ts';

/** Failures remembered for the message of `ImagePullBackOff`: as many as anyone would look at, one short text each. */
const REMEMBERED_FAILURES = 5000;

export interface NodeImageManagerOptions {
  readonly imageService: ImageService;
  readonly candidates: CandidateLookup;
  /** Undefined when present images are free for all (`settings.verifyPulledImages` is false). */
  readonly records: PulledImages | undefined;
  readonly recorder: EventRecorder;
  readonly clock: Clock;
  readonly settings: Pick<
    ImageSettings,
    | 'registryPullQps'
    | 'registryBurst'
    | 'serializeImagePulls'
    | 'maxParallelImagePulls'
    | 'runtimeRequestTimeout'
  >;
  /** Ends pulls that are under way when the node stops; a Pod's end does not (rule 5.13). */
  readonly signal: AbortSignal;
  readonly metrics?: ImageManagerMetrics;
  /** Told, for each request, which rules decided. */
  readonly onDecision?: (request: EnsureImageRequest, trace: readonly TraceStep[]) => void;
}

/** A request on its way, with what all steps need. */
interface Flight {
  readonly request: EnsureImageRequest;
  readonly object: EventObject;
  readonly spec: ImageSpec;
  readonly trace: TraceStep[];
  /** Looks candidates up once (rule 3.8). */
  readonly candidates: () => Promise<readonly Candidate[]>;
}

type Failure = Extract<EnsureImageResult, { ok: false }>;

/** The node's image manager: decides as section 3 says, speaks as section 4 says and waits as section 5 says. */
export class NodeImageManager implements ImageManager {
  readonly #options: NodeImageManagerOptions;
  readonly #queue: Limiter;
  readonly #puller: CandidatePuller;
  readonly #journal: PullJournal;
  readonly #backOff = new PullBackOff();
  readonly #failures = new LruMap<string, string>(REMEMBERED_FAILURES);

  constructor(options: NodeImageManagerOptions) {
    this.#options = options;
    this.#queue = pullQueue(options.settings);
    this.#journal = new PullJournal(options.clock);
    this.#puller = new CandidatePuller(options);
  }

  /** Returns the node's pulls, those under way and the last that have ended. */
  pulls(): ReturnType<PullJournal['page']> {
    return this.#journal.page();
  }

  /** Returns when an image of a Pod is tried again, milliseconds since the epoch; undefined when it is not in back-off. */
  backOffEndsAt(podUid: string, image: string): number | undefined {
    return this.#backOff.endsAt(backOffKey(podUid, image), this.#options.clock.now());
  }

  /**
   * Makes sure that the Pod may use the image and that it is there. What is pulled goes on when `signal` aborts: only the
   * caller stops waiting.
   *
   * @throws the signal's reason
   */
  async ensureImage(request: EnsureImageRequest, signal: AbortSignal): Promise<EnsureImageResult> {
    signal.throwIfAborted();
    const trace: TraceStep[] = [];
    const work = this.#ensure(request, trace).finally(() => this.#options.onDecision?.(request, trace));
    return await untilAborted(work, signal);
  }

  async #ensure(request: EnsureImageRequest, trace: TraceStep[]): Promise<EnsureImageResult> {
    const object = eventObject(request);
    const { image, pullPolicy } = request;
    let tagged: string;
    try {
      tagged = applyDefaultTag(image);
    } catch (error) {
      trace.push({ rule: '3.1', says: messageOf(error) });
      this.#count(request, 'unknown', 'unknown');
      return this.#refuse(object, 'InspectFailed', 'InvalidImageName', text.badName(image, messageOf(error)));
    }
    const flight: Flight = {
      request,
      object,
      spec: specOf(request, tagged),
      trace,
      candidates: lookUpOnce(this.#options, request, tagged, trace),
    };
    if (pullPolicy === 'Always') {
      trace.push({ rule: '3.3', says: 'policy is Always: pull without looking' });
      this.#count(request, 'unknown', 'true');
      return this.#pull(flight);
    }
    return this.#lookLocally(flight);
  }

  async #lookLocally(flight: Flight): Promise<EnsureImageResult> {
    const { request, object, spec, trace } = flight;
    const { image, pullPolicy } = request;
    let imageRef: string;
    try {
      const signal = runtimeSignal(this.#options);
      imageRef = (await this.#options.imageService.imageStatus(spec, signal))?.id ?? '';
    } catch (error) {
      trace.push({
        rule: '3.4',
        says: `the runtime cannot say whether the image is there: ${messageOf(error)}`,
      });
      this.#count(request, 'unknown', 'unknown');
      return this.#refuse(object, 'InspectFailed', 'ImageInspectError', text.cannotInspect(messageOf(error)));
    }
    if (imageRef === '') {
      trace.push({
        rule: pullPolicy === 'Never' ? '3.5' : '3.4',
        says: `policy is ${pullPolicy} and the image is absent`,
      });
      this.#count(request, 'false', pullPolicy === 'Never' ? 'unknown' : 'true');
      return pullPolicy === 'Never' ? this.#neverPull(object, image) : this.#pull(flight);
    }
    trace.push({ rule: '3.4', says: `policy is ${pullPolicy} and the image is present`, source: imageRef });
    const { records } = this.#options;
    if (records === undefined) {
      trace.push({ rule: '3.6', says: 'present images are not verified: no pull' });
      this.#count(request, 'true', 'false');
      this.#event(object, 'Normal', 'Pulled', text.present(image, false));
      return { ok: true, imageRef };
    }
    return this.#verify(flight, imageRef, records);
  }

  async #verify(flight: Flight, imageRef: string, records: PulledImages): Promise<EnsureImageResult> {
    const { request, object, trace } = flight;
    const { image, pullPolicy } = request;
    let pull: boolean;
    try {
      const verdict = await records.mustPull(image, imageRef, async () =>
        podCredentialsOf(await flight.candidates()),
      );
      trace.push(...verdict.trace);
      this.#options.metrics?.mustPullChecked(verdict.result.result);
      ({ pull } = verdict.result);
    } catch (error) {
      this.#options.metrics?.mustPullChecked('error');
      this.#count(request, 'true', 'unknown');
      return verbatim(error);
    }
    this.#count(request, 'true', pull ? 'true' : 'false');
    if (!pull) {
      this.#event(object, 'Normal', 'Pulled', text.present(image, true));
      return { ok: true, imageRef };
    }
    if (pullPolicy === 'Never') {
      trace.push({
        rule: '3.7',
        says: 'policy is Never and the Pod may not use the image: as if it were absent',
      });
      return this.#neverPull(object, image);
    }
    return this.#pull(flight);
  }

  #neverPull(object: EventObject, image: string): Failure {
    return this.#refuse(object, 'ErrImageNeverPull', 'ErrImageNeverPull', text.neverPull(image));
  }

  /** Rules 3.8 to 3.11: credentials, intent, back-off, queue. */
  async #pull(flight: Flight): Promise<EnsureImageResult> {
    const { request, object, trace } = flight;
    const { image } = request;
    const { records, clock, signal } = this.#options;
    let candidates: readonly Candidate[];
    try {
      candidates = await flight.candidates();
    } catch (error) {
      return verbatim(error);
    }
    try {
      await records?.recordIntent(image);
    } catch (error) {
      trace.push({ rule: '3.9', says: messageOf(error) });
      return {
        ok: false,
        reason: messageOf(error),
        message: text.cannotRecordIntent(image, messageOf(error)),
      };
    }
    let pulledRef: string | undefined;
    let used: Candidate | undefined;
    try {
      const key = backOffKey(request.pod.metadata.uid ?? '', image);
      if (this.#backOff.isWaiting(key, clock.now())) {
        trace.push({ rule: '3.10', says: 'the last failure is too recent: wait' });
        this.#event(object, 'Normal', 'BackOff', text.backOff(image));
        const previous = this.#failures.get(key);
        const message = text.backOff(image) + (previous === undefined ? '' : `: ${previous}`);
        return { ok: false, reason: 'ImagePullBackOff', message };
      }
      this.#failures.delete(key);
      this.#event(object, 'Normal', 'Pulling', text.pulling(image));
      const startedAt = clock.now();
      const { name, namespace = '' } = request.pod.metadata;
      const entry = this.#journal.begin(image, `${namespace}/${name}`);
      const outcome = await this.#queue
        .run(() => {
          entry.started();
          return this.#puller.pull(flight.spec, candidates, trace);
        }, signal)
        .catch((error: unknown) => {
          entry.failed(messageOf(error));
          throw error;
        });
      if ('error' in outcome) entry.failed(outcome.error);
      else entry.pulled(outcome.imageRef, outcome.size);
      // A pull cut short by the node's end is no failure of the image.
      if ('error' in outcome) signal.throwIfAborted();
      const ended = clock.now();
      if ('error' in outcome) {
        this.#event(object, 'Warning', 'Failed', text.pullFailed(image, outcome.error));
        this.#backOff.fail(key, ended);
        const failure = text.pullFailure(image, outcome.error);
        this.#failures.set(key, `${failure.reason}: ${failure.message}`);
        trace.push({ rule: '3.11', says: `the pull failed: ${failure.reason}` });
        return { ok: false, ...failure };
      }
      const message = text.pulled(image, outcome.duration, ended - startedAt, outcome.size);
      this.#event(object, 'Normal', 'Pulled', message);
      this.#options.metrics?.imagePulled((ended - startedAt) / 1000, outcome.size);
      this.#backOff.sweep(ended);
      trace.push({ rule: '3.11', says: 'the pull succeeded', source: outcome.imageRef });
      ({ imageRef: pulledRef, used } = outcome);
      return { ok: true, imageRef: pulledRef };
    } finally {
      // When the node ends, the runtime may still finish the pull: the intent stays, so that the image is not taken for preloaded.
      if (pulledRef === undefined) {
        if (!signal.aborted) await records?.recordFailed(image);
      } else await records?.recordPulled(image, pulledRef, recordedFor(used));
    }
  }

  #refuse(object: EventObject, eventReason: string, reason: Failure['reason'], message: string): Failure {
    this.#event(object, 'Warning', eventReason, message);
    return { ok: false, reason, message };
  }

  #event(object: EventObject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#options.recorder.event(object, type, reason, message);
  }

  #count(
    request: EnsureImageRequest,
    present: 'true' | 'false' | 'unknown',
    pullRequired: 'true' | 'false' | 'unknown',
  ): void {
    this.#options.metrics?.imageEnsured(request.pullPolicy, present, pullRequired);
  }
}

/** Errors of credentials and records are shown as they are, as reason and as message (rule 4.12). */
function verbatim(error: unknown): Failure {
  return { ok: false, reason: messageOf(error), message: messageOf(error) };
}
