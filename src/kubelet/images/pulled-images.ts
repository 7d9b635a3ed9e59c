import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/coded-error.ts';
import { goQuote } from '../../base/go-quote.ts';
import type { Traced } from '../../base/trace.ts';
import { ReferenceError, trimTagAndDigest } from '../../oci/reference.ts';
import type { Image } from '../../pull/image-service.ts';
import { ImageAllowlist } from './image-allowlist.ts';
import { mergeRecord, NO_CREDENTIALS, type PulledRecord, type RecordedCredentials } from './pull-record.ts';
import { PullRecordCache, type CacheSizing } from './pull-record-cache.ts';
import { PullRecordError } from './pull-record-codec.ts';
import { PullRecordFiles } from './pull-record-files.ts';
import { StripedLock, stripesFor } from './striped-lock.ts';
import { decideVerification, matchCredentials, type PodCredentials } from './verification-decision.ts';
import type { VerificationPolicy } from './verification-policy.ts';

export interface PulledImagesOptions extends CacheSizing {
  /** The kubelet's root directory. */
  readonly root: string;
  readonly policy: VerificationPolicy;
  readonly allowlist: readonly string[];
  readonly clock: Clock;
  /** Told of failures that change no outcome: a broken file, a record that could not be written. */
  readonly report: (message: string, error: Error) => void;
}

/** How a check of a present image ended, as the kubelet counts it (section 14). */
export type MustPullResult =
  | 'credentialPolicyAllowed'
  | 'credentialRecordFound'
  | 'mustAuthenticate'
  | 'error';

export interface MustPull {
  readonly pull: boolean;
  readonly result: MustPullResult;
}

/**
 * Remembers which images this node pulled, with whose credentials, and decides who may use them without pulling again
 * (rules 3.12, 3.24 to 3.36). One instance per root directory.
 */
export class PulledImages {
  readonly #records: PullRecordCache;
  readonly #options: PulledImagesOptions;
  readonly #allowlist: ImageAllowlist;
  /** Pulls under way by image string (rule 3.32). */
  readonly #intents = new Map<string, number>();
  readonly #intentLock: StripedLock;
  readonly #recordLock: StripedLock;

  private constructor(records: PullRecordCache, options: PulledImagesOptions) {
    this.#records = records;
    this.#options = options;
    this.#allowlist = new ImageAllowlist(options.allowlist);
    const stripes = stripesFor(options.maxParallelImagePulls);
    this.#intentLock = new StripedLock(stripes);
    this.#recordLock = new StripedLock(stripes);
  }

  /**
   * Opens the records below `options.root`. Call {@link PulledImages.reconcile} before the first pull.
   *
   * @throws AllowlistError, PullRecordError
   */
  static async open(options: PulledImagesOptions): Promise<PulledImages> {
    const files = await PullRecordFiles.open(options.root, (error) =>
      options.report('a pull record cannot be read and is left as it is', error),
    );
    return new PulledImages(await PullRecordCache.load(files, options), options);
  }

  /**
   * Turns intents that a former process left into records without credentials, where the runtime has the image under the very
   * same name (rule 3.33): whoever wants it next must authenticate.
   */
  async reconcile(images: readonly Image[]): Promise<void> {
    const intents = new Set((await this.#records.listIntents()).values);
    if (intents.size === 0) return;
    for (const image of images) {
      for (const name of new Set([...image.repoTags, ...image.repoDigests])) {
        if (!intents.has(name)) continue;
        try {
          await this.#merge(name, image.id, undefined);
          await this.#records.deleteIntent(name);
        } catch (error) {
          this.#report(`cannot turn the pull intent of "${name}" into a record`, error);
        }
      }
    }
  }

  /** Files on disk and use of the caches, for metrics. */
  async statistics(): Promise<{
    readonly intents: number;
    readonly records: number;
    readonly usage: { readonly intents: number; readonly records: number };
  }> {
    return { ...(await this.#records.count()), usage: this.#records.usage };
  }

  /**
   * Notes that `image` is about to be pulled; each call wants one {@link recordPulled} or {@link recordFailed}.
   *
   * @throws PullRecordError worded as the kubelet's message (rule 3.9)
   */
  async recordIntent(image: string): Promise<void> {
    await this.#intentLock.run(image, async () => {
      const count = this.#intents.get(image) ?? 0;
      try {
        // While another pull of the image runs, its intent is on disk already.
        if (count === 0) await this.#records.writeIntent(image);
      } catch (error) {
        throw new PullRecordError('UNWRITABLE', `failed to record image pull intent: ${messageOf(error)}`, {
          cause: error,
        });
      }
      this.#intents.set(image, count + 1);
    });
  }

  /** Notes a pull that succeeded and whose credentials did it. A record that cannot be written leaves the intent in place (3.32). */
  async recordPulled(image: string, imageRef: string, credentials: RecordedCredentials): Promise<void> {
    try {
      await this.#merge(image, imageRef, credentials);
    } catch (error) {
      this.#report(`cannot write the pull record of "${image}"`, error);
      return;
    }
    await this.#releaseIntent(image);
  }

  /** Notes a pull that failed or never began. */
  async recordFailed(image: string): Promise<void> {
    await this.#releaseIntent(image);
  }

  async #releaseIntent(image: string): Promise<void> {
    await this.#intentLock.run(image, async () => {
      const count = this.#intents.get(image) ?? 0;
      if (count > 1) {
        this.#intents.set(image, count - 1);
        return;
      }
      try {
        await this.#records.deleteIntent(image);
        this.#intents.delete(image);
      } catch (error) {
        this.#report(`cannot remove the pull intent of "${image}"`, error);
      }
    });
  }

  /**
   * Decides whether a Pod must pull an image that is present (rule 3.12).
   *
   * @param credentials asked at most once, and only when the record names credentials
   * @throws whatever `credentials` throws (step 9)
   */
  async mustPull(
    image: string,
    imageRef: string,
    credentials: () => Promise<PodCredentials>,
  ): Promise<Traced<MustPull>> {
    const { policy } = this.#options;
    const { record, intent } = await this.#state(image, imageRef);
    const decision = decideVerification({
      image,
      imageRef,
      policy,
      allowlist: this.#allowlist,
      record,
      intent,
    });
    if (!('compareWith' in decision.result)) {
      const { pull, why } = decision.result;
      const result = {
        policy: 'credentialPolicyAllowed',
        record: 'credentialRecordFound',
        error: 'error',
      } as const;
      const counted = why === 'must-authenticate' || why === 'absent' ? 'mustAuthenticate' : result[why];
      return { result: { pull, result: counted }, trace: decision.trace };
    }
    const match = matchCredentials(decision.result.compareWith, await credentials());
    const { pull, learn } = match.result;
    if (learn !== undefined) {
      try {
        await this.#merge(image, imageRef, { ...NO_CREDENTIALS, kubernetesSecrets: [learn] });
      } catch (error) {
        this.#report(`cannot write the pull record of "${image}"`, error);
      }
    }
    return {
      result: { pull, result: pull ? 'mustAuthenticate' : 'credentialRecordFound' },
      trace: [...decision.trace, ...match.trace],
    };
  }

  /** Reads record and intent as they were at one moment. */
  #state(
    image: string,
    imageRef: string,
  ): Promise<{ record: PulledRecord | undefined | 'unreadable'; intent: boolean | 'unreadable' }> {
    return this.#recordLock.run(imageRef, () =>
      this.#intentLock.run(image, async () => {
        const record = await this.#orUnreadable(() => this.#records.readRecord(imageRef));
        const counted = (this.#intents.get(image) ?? 0) > 0;
        const intent = counted || (await this.#orUnreadable(() => this.#records.hasIntent(image)));
        return { record, intent };
      }),
    );
  }

  async #orUnreadable<T>(read: () => Promise<T>): Promise<T | 'unreadable'> {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof PullRecordError)) throw error;
      this.#report('cannot look up pull records', error);
      return 'unreadable';
    }
  }

  async #merge(image: string, imageRef: string, credentials: RecordedCredentials | undefined): Promise<void> {
    const name = recordName(image);
    await this.#recordLock.run(imageRef, async () => {
      const found = await this.#orUnreadable(() => this.#records.readRecord(imageRef));
      // A broken record is replaced (rule 3.28).
      const record = found === 'unreadable' ? undefined : found;
      const merged = mergeRecord(record, imageRef, name, credentials, this.#options.clock.now());
      if (merged !== undefined) await this.#records.writeRecord(merged);
    });
  }

  /**
   * Removes records of images that are gone. Unlike Kubernetes 1.36.2, which also forgets images in use and pinned ones (rule
   * 3.36), whatever is in `present` is kept.
   *
   * @param present references of all images that the runtime has
   * @param before records changed at this time or later are kept, milliseconds
   */
  async prune(present: ReadonlySet<string>, before: number): Promise<void> {
    await this.#recordLock.runAlone(async () => {
      for (const record of (await this.#records.listRecords()).values) {
        if (present.has(record.imageRef) || !(Date.parse(record.lastUpdatedTime) < before)) continue;
        try {
          await this.#records.deleteRecord(record.imageRef);
        } catch (error) {
          this.#report(`cannot remove the pull record of "${record.imageRef}"`, error);
        }
      }
    });
  }

  #report(message: string, error: unknown): void {
    this.#options.report(message, error instanceof Error ? error : new Error(messageOf(error)));
  }
}

function recordName(image: string): string {
  try {
    return trimTagAndDigest(image);
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    throw new PullRecordError('BAD_RECORD', `invalid image name ${goQuote(image)}: ${error.message}`, {
      cause: error,
    });
  }
}
