import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/coded-error.ts';
import type { TraceStep } from '../../base/trace.ts';
import type { Candidate } from '../../credentials/keyring.ts';
import type { ImageService, ImageSpec } from '../../pull/image-service.ts';
import * as text from './image-messages.ts';
import { authOf } from './pull-candidate.ts';
import { PullThrottle } from './pull-throttle.ts';
import type { ImageSettings } from './settings.ts';

interface CandidatePullerOptions {
  readonly imageService: ImageService;
  readonly clock: Clock;
  readonly settings: Pick<ImageSettings, 'registryPullQps' | 'registryBurst' | 'runtimeRequestTimeout'>;
  /** Ends pulls that are under way when the node stops. */
  readonly signal: AbortSignal;
}

/** How the pull of one request ended. */
type PullOutcome =
  | { readonly error: string }
  | {
      readonly imageRef: string;
      readonly used: Candidate | undefined;
      readonly size: number;
      /** Milliseconds in the runtime (rule 4.2). */
      readonly duration: number;
    };

/** Pulls with one credential after the other, at the rate that the node allows. */
export class CandidatePuller {
  readonly #options: CandidatePullerOptions;
  readonly #throttle: PullThrottle;

  constructor(options: CandidatePullerOptions) {
    this.#options = options;
    const { registryPullQps, registryBurst } = options.settings;
    this.#throttle = new PullThrottle(registryPullQps, registryBurst, options.clock);
  }

  /** Tries candidates one by one; without any, anonymously (rules 3.19 to 3.22, 5.9). */
  async pull(spec: ImageSpec, candidates: readonly Candidate[], trace: TraceStep[]): Promise<PullOutcome> {
    const { imageService, clock, signal } = this.#options;
    if (!this.#throttle.tryAccept()) {
      trace.push({ rule: '5.9', says: 'more pulls than the node may start at this moment' });
      return { error: 'pull QPS exceeded' };
    }
    const startedAt = clock.now();
    const errors: string[] = [];
    for (const candidate of candidates.length === 0 ? [undefined] : candidates) {
      try {
        const auth = candidate === undefined ? undefined : authOf(candidate);
        const imageRef = await imageService.pullImage(spec, auth, signal);
        const size = await this.#sizeOf(spec);
        return { imageRef, used: candidate, size, duration: clock.now() - startedAt };
      } catch (error) {
        errors.push(messageOf(error));
      }
    }
    return { error: text.aggregate(errors) };
  }

  /** Returns 0 when the runtime does not say: the size is only told to people (rule 3.22). */
  async #sizeOf(spec: ImageSpec): Promise<number> {
    try {
      return (await this.#options.imageService.imageStatus(spec, runtimeSignal(this.#options)))?.size ?? 0;
    } catch {
      return 0;
    }
  }
}

/** Limits a call to the runtime that is no pull: by its time, and by the node's end (rule 12.9). */
export function runtimeSignal({
  signal,
  settings,
}: Pick<CandidatePullerOptions, 'signal'> & {
  readonly settings: Pick<ImageSettings, 'runtimeRequestTimeout'>;
}): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(settings.runtimeRequestTimeout)]);
}
