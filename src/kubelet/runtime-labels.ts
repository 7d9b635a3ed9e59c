import { createHash } from 'node:crypto';
import type { Container, Pod } from '../kube/pod.ts';
import { podNamespace, podUid } from './pod-reference.ts';

/* Labels and annotations by which the node agent finds its sandboxes and containers again. Names are the kubelet's. */

const POD_NAME = 'io.kubernetes.pod.name';
const POD_NAMESPACE = 'io.kubernetes.pod.namespace';
export const POD_UID = 'io.kubernetes.pod.uid';
const CONTAINER_NAME = 'io.kubernetes.container.name';
const HASH = 'io.kubernetes.container.hash';
const RESTART_COUNT = 'io.kubernetes.container.restartCount';
const TERMINATION_MESSAGE_PATH = 'io.kubernetes.container.terminationMessagePath';
const TERMINATION_MESSAGE_POLICY = 'io.kubernetes.container.terminationMessagePolicy';
const GRACE_PERIOD = 'io.kubernetes.pod.terminationGracePeriod';

export function sandboxLabels(pod: Pod): Record<string, string> {
  return {
    ...pod.metadata.labels,
    [POD_NAME]: pod.metadata.name,
    [POD_NAMESPACE]: podNamespace(pod),
    [POD_UID]: podUid(pod),
  };
}

/** Names a container by its labels, `NAMESPACE/POD/CONTAINER`; undefined for one that no agent made. */
export function containerOf(labels: Readonly<Record<string, string>>): string | undefined {
  const parts = [POD_NAMESPACE, POD_NAME, CONTAINER_NAME].map((name) => labels[name]);
  return parts.every((part) => part !== undefined) ? parts.join('/') : undefined;
}

export function containerLabels(pod: Pod, container: Container): Record<string, string> {
  return {
    [POD_NAME]: pod.metadata.name,
    [POD_NAMESPACE]: podNamespace(pod),
    [POD_UID]: podUid(pod),
    [CONTAINER_NAME]: container.name,
  };
}

export function containerAnnotations(
  pod: Pod,
  container: Container,
  restartCount: number,
): Record<string, string> {
  return {
    [HASH]: containerHash(container),
    [RESTART_COUNT]: String(restartCount),
    [TERMINATION_MESSAGE_PATH]: container.terminationMessagePath ?? '/dev/termination-log',
    [TERMINATION_MESSAGE_POLICY]: container.terminationMessagePolicy ?? 'File',
    ...(pod.spec.terminationGracePeriodSeconds === undefined
      ? {}
      : { [GRACE_PERIOD]: String(pod.spec.terminationGracePeriodSeconds) }),
  };
}

/** Changes when a running container must be replaced: its name or image (the only mutable fields that matter). */
export function containerHash(container: Container): string {
  const text = JSON.stringify([container.name, container.image ?? '']);
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

export function recordedHash(annotations: Readonly<Record<string, string>>): string | undefined {
  return annotations[HASH];
}

export function recordedTerminationPolicy(annotations: Readonly<Record<string, string>>): string {
  return annotations[TERMINATION_MESSAGE_POLICY] ?? 'File';
}

export function recordedGracePeriod(annotations: Readonly<Record<string, string>>): number | undefined {
  const text = annotations[GRACE_PERIOD];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}
