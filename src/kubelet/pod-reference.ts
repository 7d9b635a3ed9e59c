import type { Container, Pod } from '../kube/pod.ts';
import type { EventObject } from './ensure-image.ts';

/** Which list of a Pod a container stands in. */
export type ContainerKind = 'init' | 'app' | 'ephemeral';

const LISTS: Readonly<Record<ContainerKind, string>> = {
  init: 'initContainers',
  app: 'containers',
  ephemeral: 'ephemeralContainers',
};

/** Prints a Pod as the kubelet's messages do: `name_namespace(uid)`. */
export function formatPod(pod: Pod): string {
  return `${pod.metadata.name}_${podNamespace(pod)}(${podUid(pod)})`;
}

export function podUid(pod: Pod): string {
  return pod.metadata.uid ?? '';
}

export function podNamespace(pod: Pod): string {
  return pod.metadata.namespace ?? 'default';
}

/** Names one part of a Pod: `spec.containers{a}` (rule 4.3). */
export function containerFieldPath(kind: ContainerKind, name: string): string {
  return `spec.${LISTS[kind]}{${name}}`;
}

/** Names a Pod, or a part of it, as the object of an event (rule 4.3). */
export function podEventObject(pod: Pod, fieldPath?: string): EventObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    namespace: podNamespace(pod),
    name: pod.metadata.name,
    uid: podUid(pod),
    ...(pod.metadata.resourceVersion === undefined ? {} : { resourceVersion: pod.metadata.resourceVersion }),
    ...(fieldPath === undefined ? {} : { fieldPath }),
  };
}

/** Tells whether an init container keeps running beside the others. */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always';
}

/** Finds a container of a Pod by name, wherever it stands. */
export function findContainer(
  pod: Pod,
  name: string,
): { container: Container; kind: ContainerKind } | undefined {
  const lists: [ContainerKind, readonly Container[] | undefined][] = [
    ['app', pod.spec.containers],
    ['init', pod.spec.initContainers],
    ['ephemeral', pod.spec.ephemeralContainers],
  ];
  for (const [kind, list] of lists) {
    const container = list?.find((candidate) => candidate.name === name);
    if (container !== undefined) return { container, kind };
  }
  return undefined;
}
