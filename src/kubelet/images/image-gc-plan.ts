import type { ImageGcPolicy } from './image-gc-policy.ts';
import type { TrackedImage } from './image-tracker.ts';

/** Size of the image file system in bytes. */
export interface FilesystemSpace {
  readonly capacity: number;
  readonly available: number;
}

/** Lists what may go, the longest unused first (rule 11.7). */
export function gcCandidates(images: readonly TrackedImage[]): readonly TrackedImage[] {
  return images
    .filter(({ inUse, pinned }) => !inUse && !pinned)
    .toSorted((a, b) => a.lastUsed - b.lastUsed || a.firstDetected - b.firstDetected);
}

/** Tells whether an image is too old, whatever the disk and its minimum age (rule 11.8). */
export function isOverage(image: TrackedImage, policy: ImageGcPolicy, now: number): boolean {
  return policy.maxAge > 0 && now - image.lastUsed > policy.maxAge;
}

/** Says why the space pass leaves a candidate alone; undefined when it may go (rule 11.10). */
export function whyKept(image: TrackedImage, policy: ImageGcPolicy, startedAt: number): string | undefined {
  if (image.lastUsed >= startedAt) return 'was in use a moment ago';
  if (startedAt - image.firstDetected < policy.minAge) return 'is younger than the minimum age';
  return undefined;
}

/** Returns the per cent in use, rounded as the kubelet does (rule 11.9). */
export function usagePercent({ capacity, available }: FilesystemSpace): number {
  const free = Math.min(available, capacity);
  return 100 - Number((BigInt(Math.trunc(free)) * 100n) / BigInt(Math.trunc(capacity)));
}

/** Returns how many bytes the space pass must free; 0 below the high threshold (rule 11.9). */
export function bytesToFree(space: FilesystemSpace, policy: ImageGcPolicy): number {
  if (usagePercent(space) < policy.highThresholdPercent) return 0;
  const wanted = (BigInt(Math.trunc(space.capacity)) * BigInt(100 - policy.lowThresholdPercent)) / 100n;
  return Number(wanted) - Math.min(space.available, space.capacity);
}

export type GcReason = 'age' | 'space';

/** What a run would do with one image, and why. */
export type GcVerdict =
  | { readonly image: TrackedImage; readonly remove: true; readonly reason: GcReason }
  | { readonly image: TrackedImage; readonly remove: false; readonly why: string };

export interface GcInput {
  readonly images: readonly TrackedImage[];
  readonly policy: ImageGcPolicy;
  readonly space: FilesystemSpace;
  readonly now: number;
  /** Milliseconds for which the node has been collecting; the age pass waits for more than the maximum age (rule 11.8). */
  readonly uptime: number;
}

/** Foretells a run, image by image, without doing anything: what goes in order, then what stays with its reason. */
export function planImageGc(input: GcInput): readonly GcVerdict[] {
  const { images, policy, space, now, uptime } = input;
  const stays = (image: TrackedImage, why: string): GcVerdict => ({ image, remove: false, why });
  const kept: GcVerdict[] = images
    .filter(({ inUse, pinned }) => inUse || pinned)
    .map((image) => stays(image, image.pinned ? 'is pinned' : 'is in use'));
  const candidates = gcCandidates(images);
  if (policy.highThresholdPercent === 100 && policy.maxAge === 0)
    return [...candidates.map((image) => stays(image, 'collection is turned off')), ...kept];
  const overage = new Set(
    uptime > policy.maxAge ? candidates.filter((image) => isOverage(image, policy, now)) : [],
  );
  const removed: GcVerdict[] = [...overage].map((image) => ({ image, remove: true, reason: 'age' }));
  const target = space.capacity > 0 ? bytesToFree(space, policy) : 0;
  // The age pass has made room already when the space pass looks.
  let freed = [...overage].reduce((sum, { size }) => sum + size, 0);
  for (const image of candidates) {
    if (overage.has(image)) continue;
    const why = whyKept(image, policy, now);
    if (target <= 0) kept.push(stays(image, 'there is room enough'));
    else if (freed >= target) kept.push(stays(image, 'enough is freed without it'));
    else if (why !== undefined) kept.push(stays(image, why));
    else {
      freed += image.size;
      removed.push({ image, remove: true, reason: 'space' });
    }
  }
  return [...removed, ...kept];
}
