import type { Pod } from '../../kube/pod.ts';
import { podNamespace } from '../pod-reference.ts';

/** Annotations by which the kubelet tells static Pods, and their mirrors in the API, from others. */
export const CONFIG_HASH = 'kubernetes.io/config.hash';
export const CONFIG_SEEN = 'kubernetes.io/config.seen';
export const CONFIG_SOURCE = 'kubernetes.io/config.source';
export const CONFIG_MIRROR = 'kubernetes.io/config.mirror';

/** Tells whether a Pod comes from a file of its node. */
export function isStaticPod(pod: Pod): boolean {
  const source = annotation(pod, CONFIG_SOURCE);
  return source !== undefined && source !== 'api' && !isMirrorPod(pod);
}

/** Tells whether a Pod of the API only shows a static one. */
export function isMirrorPod(pod: Pod): boolean {
  return annotation(pod, CONFIG_MIRROR) !== undefined;
}

/** Returns the hash of the static Pod that a mirror shows. */
export function mirroredHash(pod: Pod): string | undefined {
  return annotation(pod, CONFIG_MIRROR);
}

/** `NAMESPACE/NAME`: what a static Pod and its mirror have in common. */
export function fullName(pod: Pod): string {
  return `${podNamespace(pod)}/${pod.metadata.name}`;
}

function annotation(pod: Pod, name: string): string | undefined {
  const { annotations } = pod.metadata;
  return annotations !== undefined && Object.hasOwn(annotations, name) ? annotations[name] : undefined;
}
