import type { PodSpec } from '../../kube/pod.ts';
import type { NodeImage } from '../node/node-images.ts';

const MIB = 1024 * 1024;
/** Below this an image is fetched in no time. */
const MIN_THRESHOLD = 23 * MIB;
/** More does not count, for each container. */
const MAX_CONTAINER_THRESHOLD = 1000 * MIB;
export const MAX_NODE_SCORE = 100;

/** Adds `:latest` where no colon follows the last slash; nothing else is normalised, a digest counts as a tag (rule 13.4). */
export function localityName(image: string): string {
  return image.lastIndexOf(':') <= image.lastIndexOf('/') ? `${image}:latest` : image;
}

/** Which image names each node has, and how many nodes have each: make once for a scheduling round. */
export interface ImageStates {
  readonly nodes: number;
  sizeOn(node: string, name: string): number | undefined;
  nodesWith(name: string): number;
}

export function imageStates(nodes: ReadonlyMap<string, readonly NodeImage[]>): ImageStates {
  const sizes = new Map<string, Map<string, number>>();
  const counts = new Map<string, number>();
  for (const [node, images] of nodes) {
    const here = new Map<string, number>();
    for (const { names, sizeBytes } of images) for (const name of names) here.set(name, sizeBytes);
    sizes.set(node, here);
    for (const name of here.keys()) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return {
    nodes: nodes.size,
    sizeOn: (node, name) => sizes.get(node)?.get(name),
    nodesWith: (name) => counts.get(name) ?? 0,
  };
}

/** Scores a node from 0 to 100 by the bytes of a Pod's images that it already has (rule 13.4). */
export function imageLocalityScore(spec: PodSpec, node: string, states: ImageStates): number {
  const images = [
    ...(spec.initContainers ?? []).map(({ image = '' }) => image),
    ...spec.containers.map(({ image = '' }) => image),
    ...(spec.volumes ?? []).flatMap(({ image }) => (image === undefined ? [] : [image.reference ?? ''])),
  ];
  let sum = 0;
  for (const image of images) {
    const name = localityName(image);
    const size = states.sizeOn(node, name);
    // An image that few nodes have counts for less, or all Pods would gather there.
    if (size !== undefined) sum += Math.trunc((size * states.nodesWith(name)) / states.nodes);
  }
  const maximum = MAX_CONTAINER_THRESHOLD * images.length;
  const bounded = Math.min(Math.max(sum, MIN_THRESHOLD), maximum);
  return Math.trunc((MAX_NODE_SCORE * (bounded - MIN_THRESHOLD)) / (maximum - MIN_THRESHOLD));
}
