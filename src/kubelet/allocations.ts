import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../base/atomic-file.ts';
import { isSystemError } from '../base/coded-error.ts';
import type { Container, Pod } from '../kube/pod.ts';
import { podUid } from './pod-reference.ts';
import type { PodPaths } from './pod-paths.ts';

type Resources = NonNullable<Container['resources']>;

/** What a Pod was promised, and what its containers run with, by container. */
export interface PodAllocation {
  readonly allocated: Readonly<Record<string, Resources>>;
  readonly actuated: Readonly<Record<string, Resources>>;
}

const FILE = 'resources.json';

/**
 * Keeps what Pods were promised of the node, in a file of each Pod's directory: the specification may ask for more by now, and the next
 * agent must not take that for granted.
 */
export class Allocations {
  readonly #paths: PodPaths;
  readonly #known = new Map<string, PodAllocation>();

  constructor(paths: PodPaths) {
    this.#paths = paths;
  }

  /** Returns what a Pod was promised: what it asks for when it is new. */
  async of(pod: Pod): Promise<PodAllocation> {
    const uid = podUid(pod);
    const known = this.#known.get(uid) ?? (await this.#read(uid));
    const allocation = known ?? { allocated: resourcesOf(pod), actuated: {} };
    this.#known.set(uid, allocation);
    return allocation;
  }

  /** Promises a Pod what it asks for. */
  async allocate(pod: Pod): Promise<void> {
    const { actuated } = await this.of(pod);
    await this.#write(podUid(pod), { allocated: resourcesOf(pod), actuated });
  }

  /** Notes what a container runs with. */
  async actuate(pod: Pod, container: Container): Promise<void> {
    const { allocated, actuated } = await this.of(pod);
    const resources = container.resources ?? {};
    await this.#write(podUid(pod), { allocated, actuated: { ...actuated, [container.name]: resources } });
  }

  /** What a container runs with; undefined when it is not known. */
  actuated(uid: string, container: string): Resources | undefined {
    return this.#known.get(uid)?.actuated[container];
  }

  forget(uid: string): void {
    this.#known.delete(uid);
  }

  async #read(uid: string): Promise<PodAllocation | undefined> {
    try {
      return JSON.parse(await readFile(join(this.#paths.pod(uid), FILE), 'utf8')) as PodAllocation;
    } catch (error) {
      // What cannot be read says no more than what is not there.
      if (isSystemError(error, 'ENOENT') || error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  async #write(uid: string, allocation: PodAllocation): Promise<void> {
    this.#known.set(uid, allocation);
    await mkdir(this.#paths.pod(uid), { recursive: true, mode: 0o711 });
    await writeFileAtomic(join(this.#paths.pod(uid), FILE), JSON.stringify(allocation));
  }
}

/** Returns a Pod whose containers ask for what they were promised. */
export function withAllocated(pod: Pod, { allocated }: PodAllocation): Pod {
  const give = (container: Container): Container => {
    const resources = allocated[container.name];
    return resources === undefined ? container : { ...container, resources };
  };
  const { initContainers } = pod.spec;
  return {
    ...pod,
    spec: {
      ...pod.spec,
      containers: pod.spec.containers.map(give),
      ...(initContainers === undefined ? {} : { initContainers: initContainers.map(give) }),
    },
  };
}

function resourcesOf(pod: Pod): Record<string, Resources> {
  const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  return Object.fromEntries(containers.map(({ name, resources }) => [name, resources ?? {}]));
}
