import type { Clock } from '../base/clock.ts';
import { LruMap } from '../base/lru-map.ts';
import type { ContainerImage, ImageLookup } from './container-image.ts';
import type { ContainerProcess } from './container-process.ts';
import type { ContainerStatus } from './runtime-service.ts';

/** How old what is known of an image may be in a status: its names can change at any time (rule 4.16), but not every second. */
const IMAGE_MS = 1000;
const MAX_IMAGES = 256;

/** Tells what is known of containers, with the names that their images have now. */
export class ContainerDescriber {
  readonly #lookup: ImageLookup;
  readonly #clock: Clock;
  readonly #images = new LruMap<string, { at: number; image: ContainerImage | undefined }>(MAX_IMAGES);

  constructor(lookup: ImageLookup, clock: Clock) {
    this.#lookup = lookup;
    this.#clock = clock;
  }

  async describe(container: ContainerProcess, signal: AbortSignal): Promise<ContainerStatus> {
    const { record, end } = container;
    const image = await this.#imageOf(record.imageId, signal);
    const { config, user } = record;
    return {
      id: record.id,
      sandboxId: record.sandboxId,
      name: config.name,
      attempt: config.attempt,
      state: container.state,
      createdAt: record.createdAt,
      startedAt: container.startedAt,
      finishedAt: end?.finishedAt ?? 0,
      exitCode: end?.exitCode ?? 0,
      reason: end?.reason ?? '',
      message: end?.message ?? '',
      imageId: record.imageId,
      imageRef: image?.imageRef ?? record.imageId,
      image: image?.image ?? config.userSpecifiedImage,
      labels: config.labels,
      annotations: config.annotations,
      logPath: record.logPath,
      mounts: config.mounts,
      user: { uid: user.uid, gid: user.gid, supplementalGroups: user.supplementalGroups },
    };
  }

  async #imageOf(id: string, signal: AbortSignal): Promise<ContainerImage | undefined> {
    const known = this.#images.get(id);
    const now = this.#clock.now();
    if (known !== undefined && now - known.at < IMAGE_MS) return known.image;
    const image = await this.#lookup(id, signal);
    this.#images.set(id, { at: now, image });
    return image;
  }
}
