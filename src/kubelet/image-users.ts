import type { RuntimeService } from '../runtime/runtime-service.ts';
import { containerOf } from './runtime-labels.ts';

/** Names the containers, running or ended, that need each image, by the image's ID (rules 3.39 and 11.4). */
export async function imageUsers(
  runtime: Pick<RuntimeService, 'listContainers'>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const users = new Map<string, string[]>();
  const add = (image: string, user: string): void => {
    const known = users.get(image);
    if (known === undefined) users.set(image, [user]);
    else if (!known.includes(user)) known.push(user);
  };
  for (const container of await runtime.listContainers({}, signal)) {
    const name = containerOf(container.labels) ?? container.name;
    const state = container.state === 'running' ? '' : ` (${container.state})`;
    add(container.imageId, `${name}${state}`);
    for (const mount of container.mounts)
      if (mount.image !== undefined) add(mount.image, `${name} as a volume`);
  }
  return users;
}
