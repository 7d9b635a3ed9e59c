import type { RuntimeService } from '../runtime/runtime-service.ts';

/** Returns the IDs of images that containers, running or ended, and their image volumes need (rules 3.39 and 11.4). */
export async function imagesInUse(
  runtime: RuntimeService,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const used = new Set<string>();
  for (const container of await runtime.listContainers({}, signal)) {
    used.add(container.imageId);
    for (const mount of container.mounts) if (mount.image !== undefined) used.add(mount.image);
  }
  return used;
}
