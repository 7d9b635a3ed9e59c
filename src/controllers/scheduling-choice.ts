import type { Pod } from '../kube/pod.ts';
import { podRequests } from '../kube/scheduling/pod-requests.ts';
import type { Node } from './scheduling-fit.ts';
import type { Surroundings } from './scheduling-terms.ts';
import { gradeNodes } from './scheduling-wishes.ts';

/**
 * Prefers the node that the Pod was promised, then what the Pod prefers, then a node with the fewest of its own siblings (as
 * clusters spread Pods by default), then the emptiest, then one that has its images, then the one with the least asked of
 * it, then the first by name. Pure.
 */
export function chooseNode(pod: Pod, fitting: readonly Node[], around: Surroundings): Node | undefined {
  const promised = fitting.find(({ metadata }) => metadata.name === pod.status?.nominatedNodeName);
  if (promised !== undefined) return promised;
  const { placed } = around;
  const grades = gradeNodes(pod, fitting, around);
  const owner = controllerUid(pod);
  const images = new Set(pod.spec.containers.map((container) => container.image ?? ''));
  const scored = fitting.map((node) => {
    const present = placed.get(node.metadata.name) ?? [];
    const names = (node.status?.images ?? []).flatMap((image) => image.names ?? []);
    const local = names.filter((name) => images.has(name)).length;
    const cpu = present.reduce((sum, other) => sum + (podRequests(other).get('cpu') ?? 0), 0);
    return {
      node,
      name: node.metadata.name,
      prefers: grades.get(node.metadata.name) ?? 0,
      local,
      siblings: owner === undefined ? 0 : present.filter((other) => controllerUid(other) === owner).length,
      count: present.length,
      cpu,
    };
  });
  scored.sort(
    (a, b) =>
      b.prefers - a.prefers ||
      a.siblings - b.siblings ||
      a.count - b.count ||
      b.local - a.local ||
      a.cpu - b.cpu ||
      (a.name < b.name ? -1 : 1),
  );
  return scored[0]?.node;
}

function controllerUid(pod: Pod): string | undefined {
  return pod.metadata.ownerReferences?.find(({ controller }) => controller === true)?.uid;
}
