import { GC_PERIOD } from './gc-period.ts';
import { planImageGc, usagePercent, type FilesystemSpace, type GcReason } from './image-gc-plan.ts';
import type { ImageGcPolicy } from './image-gc-policy.ts';
import type { TrackedImage } from './image-tracker.ts';

/** What clean-up will do with one image, if nothing changes. Times are milliseconds since the epoch. */
export interface ForecastImage {
  readonly id: string;
  readonly names: readonly string[];
  readonly size: number;
  /** When clean-up first saw it. */
  readonly firstDetected: number;
  /** When it was last seen in use; 0 for never. */
  readonly lastUsed: number;
  readonly goes: boolean;
  /** Why it goes: of `age`, or for `space`. */
  readonly reason?: GcReason;
  /** Why it stays. */
  readonly why?: string;
  /** When it goes; of one that stays, the first run that could take it, where time alone decides. */
  readonly at?: number;
  /** Containers that use it, or mount it as a volume. */
  readonly usedBy: readonly string[];
  readonly pinReason?: string;
}

/** What the next run of clean-up will do, and by what it decides. */
export interface ImageGcForecast {
  readonly policy: ImageGcPolicy;
  readonly space: FilesystemSpace & { readonly usedPercent: number };
  readonly nextRunAt: number;
  /** In the order in which they go, then what stays. */
  readonly images: readonly ForecastImage[];
}

export interface ForecastInput {
  readonly images: readonly TrackedImage[];
  readonly policy: ImageGcPolicy;
  readonly space: FilesystemSpace;
  /** When clean-up began to watch. */
  readonly startedAt: number;
  readonly nextRunAt: number;
  /** Containers by the ID of the image that they use. */
  readonly users: ReadonlyMap<string, readonly string[]>;
  readonly pinReasons?: ReadonlyMap<string, string>;
}

/** Foretells the next run, image by image (rules 11.6 to 11.10). */
export function forecastImageGc(input: ForecastInput): ImageGcForecast {
  const { policy, space, startedAt, nextRunAt } = input;
  const uptime = nextRunAt - startedAt;
  const verdicts = planImageGc({ images: input.images, policy, space, now: nextRunAt, uptime });
  return {
    policy,
    space: { ...space, usedPercent: space.capacity > 0 ? usagePercent(space) : 0 },
    nextRunAt,
    images: verdicts.map((verdict): ForecastImage => {
      const { id, names, size, firstDetected, lastUsed, inUse, pinned } = verdict.image;
      const pinReason = pinned ? input.pinReasons?.get(id) : undefined;
      const facts = { id, names, size, firstDetected, lastUsed, usedBy: input.users.get(id) ?? [] };
      if (verdict.remove) return { ...facts, goes: true, reason: verdict.reason, at: nextRunAt };
      const at = inUse || pinned ? undefined : firstRunThatCould(verdict.image, input);
      return {
        ...facts,
        goes: false,
        why: verdict.why,
        ...(at === undefined ? {} : { at }),
        ...(pinReason === undefined ? {} : { pinReason }),
      };
    }),
  };
}

/** The first run from which on age alone takes an image that nobody uses until then; undefined when age never does. */
function firstRunThatCould(image: TrackedImage, input: ForecastInput): number | undefined {
  const { policy, startedAt, nextRunAt } = input;
  if (policy.maxAge === 0) return undefined;
  const from = Math.max(image.lastUsed, startedAt) + policy.maxAge;
  const runs = Math.max(0, Math.floor((from - nextRunAt) / GC_PERIOD) + 1);
  return nextRunAt + runs * GC_PERIOD;
}
