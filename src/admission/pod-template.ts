import type { KubeObject } from '../kube/object.ts';
import type { Container, PodSpec, Volume } from '../kube/pod.ts';

/** A Pod description inside an object, and the field path that leads to it: `spec`, `spec.template.spec`. */
export interface LocatedPodSpec {
  readonly path: readonly string[];
  readonly spec: PodSpec;
}

const IN_WORKLOAD: readonly string[] = ['spec', 'template', 'spec'];
/** Where kinds keep their Pod description. */
const PATHS: ReadonlyMap<string, readonly string[]> = new Map([
  ['Pod', ['spec']],
  ['PodTemplate', ['template', 'spec']],
  ['CronJob', ['spec', 'jobTemplate', 'spec', 'template', 'spec']],
  ['Deployment', IN_WORKLOAD],
  ['ReplicaSet', IN_WORKLOAD],
  ['StatefulSet', IN_WORKLOAD],
  ['DaemonSet', IN_WORKLOAD],
  ['Job', IN_WORKLOAD],
  ['ReplicationController', IN_WORKLOAD],
]);

/** Finds the Pod description of a Pod or of anything with a Pod template; undefined when there is none. */
export function findPodSpec(object: KubeObject): LocatedPodSpec | undefined {
  // Kinds not known here (custom resources of the same shape) count when a list of containers is really found.
  const known = PATHS.get(object.kind);
  const paths = known === undefined ? [...PATHS.values()] : [known];
  for (const path of paths) {
    const spec = follow(object, path);
    if (isRecord(spec) && Array.isArray(spec.containers)) return { path, spec: spec as unknown as PodSpec };
  }
  return undefined;
}

/** Returns a copy of `object` with another Pod description at `path`; everything else is shared. */
export function withPodSpec<T extends KubeObject>(object: T, path: readonly string[], spec: PodSpec): T {
  return replace(object, path, spec) as T;
}

function follow(object: unknown, path: readonly string[]): unknown {
  let value = object;
  for (const name of path) {
    if (!isRecord(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}

function replace(object: unknown, path: readonly string[], value: unknown): unknown {
  const [name, ...rest] = path;
  if (name === undefined || !isRecord(object)) return value;
  return { ...object, [name]: replace(object[name], rest, value) };
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
  return kinds.flatMap((kind) =>
    listOf<Container>(spec[kind]).map((container, index) => ({ kind, index, container })),
  );
}

/** Returns a copy of a Pod description with every container and every image volume passed through a function. */
export function mapImages(
  spec: PodSpec,
  changeContainer: (container: Container, kind: ContainerKind, index: number) => Container,
  changeVolume: (image: NonNullable<Volume['image']>, index: number) => NonNullable<Volume['image']>,
): PodSpec {
  const mapped: PodSpec = { ...spec };
  for (const kind of CONTAINER_KINDS) {
    if (Array.isArray(spec[kind])) {
      mapped[kind] = listOf<Container>(spec[kind]).map((container, i) => changeContainer(container, kind, i));
    }
  }
  if (Array.isArray(spec.volumes)) {
    mapped.volumes = listOf<Volume>(spec.volumes).map((volume, i) =>
      !isRecord(volume.image) ? volume : { ...volume, image: changeVolume(volume.image, i) },
    );
  }
  return mapped;
}

/** Reads a list that may come straight from a file: what is no list is empty, what is no object is left out. */
function listOf<T>(value: unknown): T[] {
  return Array.isArray(value) ? (value.filter(isRecord) as T[]) : [];
}
