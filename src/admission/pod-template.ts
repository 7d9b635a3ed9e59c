import type { KubeObject } from '../kube/object.ts';
import type { Container, PodSpec, Volume } from '../kube/pod.ts';

/** A Pod description inside an object, and the field path that leads to it: `spec`, `spec.template.spec`. */
export interface LocatedPodSpec {
  readonly path: readonly string[];
  readonly spec: PodSpec;
}

/**
 * Where kinds keep their Pod description. The first three are also tried, in this order, for kinds not known here (custom
 * resources of the same shape), but only where a list of containers is really found.
 */
const PATHS: Readonly<Record<string, readonly string[]>> = {
  CronJob: ['spec', 'jobTemplate', 'spec', 'template', 'spec'],
  Workload: ['spec', 'template', 'spec'],
  PodTemplate: ['template', 'spec'],
  Pod: ['spec'],
};
const WORKLOADS = new Set([
  'Deployment',
  'ReplicaSet',
  'StatefulSet',
  'DaemonSet',
  'Job',
  'ReplicationController',
]);

/** Finds the Pod description of a Pod or of anything with a Pod template; undefined when there is none. */
export function findPodSpec(object: KubeObject): LocatedPodSpec | undefined {
  const known = PATHS[WORKLOADS.has(object.kind) ? 'Workload' : object.kind];
  const paths = known !== undefined && object.kind !== 'Workload' ? [known] : Object.values(PATHS);
  for (const path of paths) {
    const spec = follow(object, path);
    if (isRecord(spec) && Array.isArray(spec.containers)) return { path, spec: spec as unknown as PodSpec };
  }
  return undefined;
}

/** Returns a copy of `object` with another Pod description at `path`; everything else is shared. */
export function withPodSpec<T extends KubeObject>(object: T, path: readonly string[], spec: PodSpec): T {
  return replace(object as unknown as Record<string, unknown>, path, spec) as unknown as T;
}

function follow(object: unknown, path: readonly string[]): unknown {
  let value = object;
  for (const name of path) {
    if (!isRecord(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}

function replace(object: Record<string, unknown>, path: readonly string[], value: unknown): unknown {
  const [name, ...rest] = path;
  if (name === undefined) return value;
  const inner = object[name];
  return { ...object, [name]: replace(isRecord(inner) ? inner : {}, rest, value) };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export type ContainerKind = 'initContainers' | 'containers' | 'ephemeralContainers';

/** Kinds of containers in the order in which Kubernetes visits them. */
export const CONTAINER_KINDS: readonly ContainerKind[] = [
  'initContainers',
  'containers',
  'ephemeralContainers',
];

export interface LocatedContainer {
  readonly kind: ContainerKind;
  readonly index: number;
  readonly container: Container;
}

/** Lists all containers of a Pod description. */
export function containersOf(
  spec: PodSpec,
  kinds: readonly ContainerKind[] = CONTAINER_KINDS,
): readonly LocatedContainer[] {
  return kinds.flatMap((kind) => (spec[kind] ?? []).map((container, index) => ({ kind, index, container })));
}

/** Returns a copy of a Pod description with every container and every image volume passed through a function. */
export function mapImages(
  spec: PodSpec,
  changeContainer: (container: Container, kind: ContainerKind, index: number) => Container,
  changeVolume: (image: NonNullable<Volume['image']>, index: number) => NonNullable<Volume['image']>,
): PodSpec {
  const mapped: PodSpec = { ...spec };
  for (const kind of CONTAINER_KINDS) {
    const list = spec[kind];
    if (list !== undefined) mapped[kind] = list.map((container, i) => changeContainer(container, kind, i));
  }
  if (spec.volumes !== undefined) {
    mapped.volumes = spec.volumes.map((volume, i) =>
      volume.image === undefined ? volume : { ...volume, image: changeVolume(volume.image, i) },
    );
  }
  return mapped;
}
