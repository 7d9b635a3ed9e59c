import { join } from 'node:path';
import type { ContainerRecord } from '../runtime/container-record.ts';
import { listNames, readRecord } from '../runtime/container-record.ts';
import { forecastImageGc, type ImageGcForecast } from '../kubelet/images/gc-forecast.ts';
import { GC_PERIOD } from '../kubelet/images/gc-period.ts';
import { imageFilesystemStats } from '../kubelet/images/image-filesystem.ts';
import { imageGcPolicy } from '../kubelet/images/image-gc-policy.ts';
import { ImageTracker } from '../kubelet/images/image-tracker.ts';
import { DEFAULT_IMAGE_SETTINGS } from '../kubelet/images/settings.ts';
import { imageUsers } from '../kubelet/image-users.ts';
import type { ImageStore } from '../images/image-store.ts';
import type { NodeStores } from './node-stores.ts';

/** Adds why images are pinned, which only the store knows. */
export async function withPinReasons(
  forecast: ImageGcForecast,
  images: Pick<ImageStore, 'list'>,
): Promise<ImageGcForecast> {
  const reasons = new Map((await images.list()).map(({ id, pinReason }) => [id as string, pinReason]));
  return {
    ...forecast,
    images: forecast.images.map((image) => {
      const pinReason = reasons.get(image.id);
      return pinReason === undefined ? image : { ...image, pinReason };
    }),
  };
}

/**
 * Foretells what the first run would do of a node that started on this root now, with Kubernetes' thresholds: ages begin anew
 * with each start (rule 11.2). What is in use is read from the records of containers.
 */
export async function forecastWithoutNode(
  root: string,
  stores: NodeStores,
  now: number,
  signal: AbortSignal,
): Promise<ImageGcForecast> {
  const users = await imageUsers({ listContainers: () => recordedContainers(join(root, 'run')) }, signal);
  const images = await stores.imageService.listImages(undefined, signal);
  const forecast = forecastImageGc({
    images: new ImageTracker().detect(images, new Set(users.keys()), now),
    policy: imageGcPolicy(DEFAULT_IMAGE_SETTINGS),
    space: await imageFilesystemStats(stores.imageService, signal),
    startedAt: now,
    nextRunAt: now + GC_PERIOD,
    users,
  });
  return withPinReasons(forecast, stores.images);
}

/** Reads the records of a runtime that does not run: as much of its containers as images need. */
async function recordedContainers(
  runtimeRoot: string,
): ReturnType<Parameters<typeof imageUsers>[0]['listContainers']> {
  const directory = join(runtimeRoot, 'containers');
  const found = [];
  for (const id of await listNames(directory)) {
    const record = await readRecord<ContainerRecord>(join(directory, id), 'record.json');
    if (record === undefined) continue;
    const { config, imageId } = record;
    found.push({
      id,
      sandboxId: record.sandboxId,
      name: config.name,
      attempt: config.attempt,
      // Whether it still runs makes no difference to its image.
      state: 'running' as const,
      createdAt: record.createdAt,
      startedAt: 0,
      finishedAt: 0,
      exitCode: 0,
      reason: '',
      message: '',
      imageId,
      imageRef: config.imageRef,
      image: config.userSpecifiedImage,
      labels: config.labels,
      annotations: config.annotations,
      logPath: record.logPath,
      mounts: config.mounts,
    });
  }
  return found;
}
