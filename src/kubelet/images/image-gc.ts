import type { Clock } from '../../base/clock.ts';
import { CodedError, messageOf } from '../../base/coded-error.ts';
import { formatGoDuration } from '../../base/go-duration.ts';
import type { ImageService } from '../../pull/image-service.ts';
import type { EventObject, EventRecorder } from '../ensure-image.ts';
import {
  bytesToFree,
  gcCandidates,
  isOverage,
  usagePercent,
  whyKept,
  type FilesystemSpace,
  type GcReason,
} from './image-gc-plan.ts';
import { forecastImageGc, type ImageGcForecast } from './gc-forecast.ts';
import { GC_PERIOD } from './gc-period.ts';
import type { ImageGcPolicy } from './image-gc-policy.ts';
import { aggregate } from './image-messages.ts';
import { ImageTracker, type TrackedImage } from './image-tracker.ts';

/** `NO_CAPACITY`: the file system says it is empty. `NOT_ENOUGH`: images in use fill it. `DELETION`: the runtime refused. */
export class ImageGcError extends CodedError<'NO_CAPACITY' | 'NOT_ENOUGH' | 'DELETION'> {}

export interface ImageGcOptions {
  readonly imageService: ImageService;
  readonly policy: ImageGcPolicy;
  /** IDs of images of all containers, running or dead, and of mounted image volumes (rules 3.39, 11.4). */
  readonly imagesInUse: (signal: AbortSignal) => Promise<ReadonlySet<string>>;
  /** Space of the file system that holds the images. */
  readonly space: (signal: AbortSignal) => Promise<FilesystemSpace>;
  readonly clock: Clock;
  readonly recorder: EventRecorder;
  /** The Node, for its events. */
  readonly node: EventObject;
  /** Told after a pass that freed space: references of all images that are left, and when the run began (rule 11.13). */
  readonly afterSpacePass?: (present: ReadonlySet<string>, startedAt: number) => Promise<void>;
  /** Runs the removals of one pass, so that a store may do once after them what each alone would need. */
  readonly removingMany?: <T>(removals: () => Promise<T>) => Promise<T>;
  readonly onRemoved?: (image: TrackedImage, reason: GcReason) => void;
  /** Frees what removed images leave behind, such as content and layers that nothing names any more; awaited after each pass that removed something. */
  readonly reclaim?: (signal: AbortSignal) => Promise<void>;
  readonly log?: (message: string) => void;
}

/** Removes images that nobody uses: the old ones, and as many as the disk needs (rules 11.1 to 11.18). */
export class ImageGarbageCollector {
  readonly #options: ImageGcOptions;
  readonly #tracker = new ImageTracker();
  readonly #startedAt: number;
  #nextRunAt: number;
  #failedBefore = false;

  constructor(options: ImageGcOptions) {
    this.#options = options;
    this.#startedAt = options.clock.now();
    this.#nextRunAt = this.#startedAt + GC_PERIOD;
  }

  /** When the next run of its own accord is, in milliseconds since the epoch. */
  get nextRunAt(): number {
    return this.#nextRunAt;
  }

  get #isOff(): boolean {
    const { policy } = this.#options;
    return policy.highThresholdPercent === 100 && policy.maxAge === 0;
  }

  /** Looks which images are there and in use; also done at the start of each run (rule 11.1). */
  async detect(signal: AbortSignal): Promise<readonly TrackedImage[]> {
    const { imageService, imagesInUse, clock } = this.#options;
    const images = await imageService.listImages(undefined, signal);
    return this.#tracker.detect(images, await imagesInUse(signal), clock.now());
  }

  /** Foretells the next run without removing anything; `users` names the containers that need each image. */
  async forecast(
    users: ReadonlyMap<string, readonly string[]>,
    signal: AbortSignal,
  ): Promise<ImageGcForecast> {
    const { policy, space } = this.#options;
    return forecastImageGc({
      images: await this.detect(signal),
      policy,
      space: await space(signal),
      startedAt: this.#startedAt,
      nextRunAt: this.#nextRunAt,
      users,
    });
  }

  /**
   * Runs once: the age pass, then the space pass.
   *
   * @throws ImageGcError
   */
  async collect(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    if (this.#isOff) return;
    const startedAt = clock.now();
    const images = await this.detect(signal);
    await this.#agePass(gcCandidates(images), startedAt, signal);
    const space = await this.#space(signal);
    const { policy } = this.#options;
    const target = bytesToFree(space, policy);
    if (usagePercent(space) < policy.highThresholdPercent) return;
    const freed = await this.#spacePass(target, startedAt, signal);
    if (freed < target) {
      const percent = usagePercent(space);
      const text =
        `Insufficient free disk space on the node's image filesystem (${percent}% of ${formatSize(space.capacity)} used). ` +
        `Failed to free sufficient space by deleting unused images (freed ${freed} bytes). ` +
        'Investigate disk usage, as it could be used by active images, logs, volumes, or other data.';
      this.#event('FreeDiskSpaceFailed', text);
      throw new ImageGcError('NOT_ENOUGH', text);
    }
  }

  /**
   * Removes every unused image that is old enough, for eviction (rule 11.17).
   *
   * @throws ImageGcError `DELETION`
   */
  async deleteUnused(signal: AbortSignal): Promise<void> {
    await this.#spacePass(Number.POSITIVE_INFINITY, this.#options.clock.now(), signal);
  }

  /** Runs every five minutes until `signal` aborts; a second failure in a row becomes an event (rules 11.6, 11.14). */
  async run(signal: AbortSignal): Promise<void> {
    // What is there at the start counts from now on, not from the first run (rules 11.1 and 11.3).
    const first = this.detect(signal).catch((error: unknown) => {
      if (!signal.aborted) this.#options.log?.(`cannot look for images: ${messageOf(error)}`);
    });
    while (!signal.aborted) {
      try {
        this.#nextRunAt = this.#options.clock.now() + GC_PERIOD;
        await this.#options.clock.sleep(GC_PERIOD, signal);
        // Eviction removes images even where clean-up is off, and must know their ages then (rules 11.1, 11.17).
        if (this.#isOff) await this.detect(signal);
        else await this.collect(signal);
        this.#failedBefore = false;
      } catch (error) {
        if (signal.aborted) break;
        this.#options.log?.(`image garbage collection failed: ${messageOf(error)}`);
        if (this.#failedBefore) this.#event('ImageGCFailed', messageOf(error));
        this.#failedBefore = true;
      }
    }
    await first;
  }

  async #agePass(candidates: readonly TrackedImage[], startedAt: number, signal: AbortSignal): Promise<void> {
    const { policy } = this.#options;
    // Right after a start nothing is known of former use.
    if (policy.maxAge === 0 || startedAt - this.#startedAt <= policy.maxAge) return;
    const errors: string[] = [];
    let removed = 0;
    await this.#removingMany(async () => {
      for (const image of candidates.filter((candidate) => isOverage(candidate, policy, startedAt))) {
        const error = await this.#remove(image, 'age', signal);
        if (error !== undefined) errors.push(error);
        else removed++;
      }
    });
    if (removed > 0) await this.#reclaim(signal, errors);
    if (errors.length > 0) {
      throw new ImageGcError(
        'DELETION',
        `wanted to free images older than ${formatGoDuration(policy.maxAge)}, encountered errors in image deletion: ${aggregate(errors)}`,
      );
    }
  }

  /** Returns the bytes freed. */
  async #spacePass(target: number, startedAt: number, signal: AbortSignal): Promise<number> {
    const { policy, afterSpacePass } = this.#options;
    const images = await this.detect(signal);
    const gone = new Set<string>();
    const errors: string[] = [];
    let freed = 0;
    await this.#removingMany(async () => {
      for (const image of gcCandidates(images)) {
        if (freed >= target) break;
        if (whyKept(image, policy, startedAt) !== undefined) continue;
        const error = await this.#remove(image, 'space', signal);
        if (error === undefined) {
          freed += image.size;
          gone.add(image.id);
        } else errors.push(error);
      }
    });
    if (gone.size > 0) await this.#reclaim(signal, errors);
    if (errors.length > 0) {
      const wanted = Number.isFinite(target) ? target : Number.MAX_SAFE_INTEGER;
      throw new ImageGcError(
        'DELETION',
        `wanted to free ${wanted} bytes, but freed ${freed} bytes space with errors in image deletion: ${aggregate(errors)}`,
      );
    }
    const left = new Set(images.map(({ id }) => id).filter((id) => !gone.has(id)));
    await afterSpacePass?.(left, startedAt);
    return freed;
  }

  async #removingMany(removals: () => Promise<void>): Promise<void> {
    await (this.#options.removingMany?.(removals) ?? removals());
  }

  /** Removes by ID: all names go with it (rule 11.18). Returns the error's text, if any. */
  async #remove(image: TrackedImage, reason: GcReason, signal: AbortSignal): Promise<string | undefined> {
    if (image.id === '') {
      const text = `ImageID is not valid, skipping, image: ${image.names.join(', ')}`;
      this.#event('InvalidImageID', text);
      return undefined;
    }
    try {
      await this.#options.imageService.removeImage({ image: image.id }, signal);
    } catch (error) {
      signal.throwIfAborted();
      return messageOf(error);
    }
    this.#options.onRemoved?.(image, reason);
    return undefined;
  }

  async #reclaim(signal: AbortSignal, errors: string[]): Promise<void> {
    try {
      await this.#options.reclaim?.(signal);
    } catch (error) {
      signal.throwIfAborted();
      errors.push(messageOf(error));
    }
  }

  async #space(signal: AbortSignal): Promise<FilesystemSpace> {
    const space = await this.#options.space(signal);
    if (space.capacity > 0) return space;
    const text = 'invalid capacity 0 on image filesystem';
    this.#event('InvalidDiskCapacity', text);
    throw new ImageGcError('NO_CAPACITY', text);
  }

  #event(reason: string, message: string): void {
    this.#options.recorder.event(this.#options.node, 'Warning', reason, message);
  }
}

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB'];

/** Prints bytes as the kubelet's clean-up messages do (rule 11.11). */
export function formatSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value.toFixed(1)} ${UNITS[unit] ?? ''}`;
}
