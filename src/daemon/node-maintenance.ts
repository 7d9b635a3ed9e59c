import { collect, type CollectStores } from '../images/collect.ts';
import type { ImageService } from '../pull/image-service.ts';
import type { Logger } from '../observe/logger.ts';

/** Frees the space that removed images leave behind. */
export interface SpaceReclaimer {
  /** Returns once everything that no image needs at this moment is gone; goes on for the others when one caller leaves. */
  reclaim(): Promise<void>;
}

/**
 * Makes removed images give their space back: an image is a record, and its content and layers stay until nothing names them.
 * Calls that come while a collection runs share one more after it, which sees what they removed.
 *
 * @param signal ends the work when the node stops
 */
export function createSpaceReclaimer(
  stores: CollectStores,
  logger: Logger,
  signal: AbortSignal,
): SpaceReclaimer {
  let running: Promise<void> = Promise.resolve();
  let next: Promise<void> | undefined;
  const run = async (): Promise<void> => {
    const steps = await collect(stores, {}, signal);
    const freed = steps.reduce((sum, step) => sum + step.freedBytes, 0);
    if (freed > 0) logger.info({ freedBytes: freed }, 'freed the space of removed images');
  };
  return {
    reclaim: () => {
      next ??= running
        // How the one before ended is told to those who waited for it.
        .catch(() => undefined)
        .then(() => {
          next = undefined;
          running = run();
          return running;
        });
      return next;
    },
  };
}

/** Has every removal through `service` give back its space before it returns: clients who remove an image want the room. */
export function reclaimingImageService(service: ImageService, reclaimer: SpaceReclaimer): ImageService {
  return {
    listImages: (filter, signal) => service.listImages(filter, signal),
    imageStatus: (spec, signal) => service.imageStatus(spec, signal),
    pullImage: (spec, auth, signal) => service.pullImage(spec, auth, signal),
    removeImage: async (spec, signal) => {
      await service.removeImage(spec, signal);
      await reclaimer.reclaim();
    },
    imageFsInfo: (signal) => service.imageFsInfo(signal),
  };
}
