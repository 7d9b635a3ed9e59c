import type { Pod } from '../kube/pod.ts';
import { unless, type ControllerContext } from './controller-context.ts';
import { NODES, PODS } from './resource-types.ts';
import type { Node } from './scheduling-fit.ts';

const INTERVAL_MS = 20_000;
/** Finished Pods kept for people to look at; the oldest go first beyond that. */
const FINISHED_KEPT = 12_500;
/** A node that is gone may come back with its Pods; so long they are left alone. */
const NODE_GONE_MS = 40_000;

/** Removes Pods that nobody will ever finish: on nodes that are gone, deleted before they got a node, too many finished ones. */
export async function runPodGarbageCollector(context: ControllerContext): Promise<void> {
  const pods = context.informer<Pod>(PODS);
  const nodes = context.informer<Node>(NODES);
  const missingSince = new Map<string, number>();
  const { clock, signal } = context;
  try {
    await context.synced();
    for (;;) {
      await clock.sleep(INTERVAL_MS, signal);
      const now = clock.now();
      const known = new Set(nodes.values().map((node) => node.metadata.name));
      for (const node of missingSince.keys()) if (known.has(node)) missingSince.delete(node);
      const doomed: Pod[] = [];
      for (const pod of pods.values()) {
        const node = pod.spec.nodeName ?? '';
        if (node === '') {
          if (pod.metadata.deletionTimestamp !== undefined) doomed.push(pod);
        } else if (!known.has(node)) {
          const since = missingSince.get(node) ?? now;
          missingSince.set(node, since);
          if (now - since >= NODE_GONE_MS) doomed.push(pod);
        }
      }
      doomed.push(...tooManyFinished(pods.values()));
      for (const pod of doomed) {
        const { name, namespace = '', uid } = pod.metadata;
        try {
          await unless(
            ['NotFound', 'Conflict'],
            context.client.delete(PODS, { namespace, name }, signal, {
              gracePeriodSeconds: 0,
              ...(uid === undefined ? {} : { preconditions: { uid } }),
            }),
          );
        } catch (error) {
          if (signal.aborted) throw error;
          context.warn(`remove pod "${namespace}/${name}"`, error);
        }
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function tooManyFinished(pods: readonly Pod[]): Pod[] {
  const finished = pods.filter((pod) => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed');
  if (finished.length <= FINISHED_KEPT) return [];
  const age = (pod: Pod): string => pod.metadata.creationTimestamp ?? '';
  finished.sort((a, b) => (age(a) < age(b) ? -1 : 1));
  return finished.slice(0, finished.length - FINISHED_KEPT);
}
