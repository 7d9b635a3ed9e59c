import type { Clock } from '../../base/clock.ts';
import { formatTime } from '../../kube/time.ts';

/** Ended pulls that are remembered: those of the last hours on a busy node. */
const MAX_ENDED = 500;

/** Letters of an error that are remembered, as many as of an event: what registries say can be long. */
const MAX_ERROR_LENGTH = 1024;

/** One pull of the node, as its page shows it. Times are RFC 3339, durations seconds. */
export interface PullEntry {
  readonly image: string;
  /** `NAMESPACE/NAME` of the Pod that asked first. */
  readonly pod: string;
  readonly state: 'waiting' | 'pulling' | 'pulled' | 'failed';
  readonly requestedAt: string;
  readonly startedAt?: string;
  readonly endedAt?: string;
  readonly seconds?: number;
  readonly imageRef?: string;
  readonly bytes?: number;
  readonly error?: string;
}

/** How a pull goes on. */
export interface JournaledPull {
  started(): void;
  pulled(imageRef: string, bytes: number): void;
  failed(error: string): void;
}

/** Remembers the pulls of a node, those under way and the last that have ended. */
export class PullJournal {
  readonly #clock: Clock;
  readonly #open = new Set<{ entry: PullEntry; requestedAt: number }>();
  readonly #ended: PullEntry[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  begin(image: string, pod: string): JournaledPull {
    const requestedAt = this.#clock.now();
    const pull: { entry: PullEntry; requestedAt: number } = {
      requestedAt,
      entry: { image, pod, state: 'waiting', requestedAt: formatTime(requestedAt) },
    };
    this.#open.add(pull);
    const end = (more: Partial<PullEntry> & Pick<PullEntry, 'state'>): void => {
      const now = this.#clock.now();
      this.#open.delete(pull);
      this.#ended.push({
        ...pull.entry,
        endedAt: formatTime(now),
        seconds: (now - requestedAt) / 1000,
        ...more,
      });
      if (this.#ended.length > MAX_ENDED) this.#ended.shift();
    };
    return {
      started: () => {
        pull.entry = { ...pull.entry, state: 'pulling', startedAt: formatTime(this.#clock.now()) };
      },
      pulled: (imageRef, bytes) => end({ state: 'pulled', imageRef, bytes }),
      failed: (error) => end({ state: 'failed', error: error.slice(0, MAX_ERROR_LENGTH) }),
    };
  }

  /** Returns all that is remembered, newest first. */
  page(): { readonly pulling: readonly PullEntry[]; readonly ended: readonly PullEntry[] } {
    return {
      pulling: [...this.#open].map(({ entry }) => entry).toReversed(),
      ended: this.#ended.toReversed(),
    };
  }
}
