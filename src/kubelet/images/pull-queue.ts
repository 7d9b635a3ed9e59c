import { Limiter } from '../../base/limiter.ts';
import type { ImageSettings } from './settings.ts';

/**
 * Makes the queue that all pulls of a node pass: one at a time when serialized, else up to a limit, first come first served
 * (rules 5.10, 5.11).
 */
export function pullQueue(
  settings: Pick<ImageSettings, 'serializeImagePulls' | 'maxParallelImagePulls'>,
): Limiter {
  if (settings.serializeImagePulls) return new Limiter(1);
  const limit = settings.maxParallelImagePulls ?? 0;
  return new Limiter(limit >= 1 ? limit : Number.POSITIVE_INFINITY);
}
