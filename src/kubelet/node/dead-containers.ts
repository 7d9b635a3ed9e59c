import type { Pod } from '../../kube/pod.ts';
import type { RuntimeService } from '../../runtime/runtime-service.ts';
import { podUid } from '../pod-reference.ts';

/**
 * Removes the containers of Pods that have ended for good, and what they wrote: their images are then unused. Of Pods that live
 * the last of each container stays, for `logs --previous`; older ones go with each restart anyway (rule 11.29).
 */
export async function removeDeadContainers(
  runtime: RuntimeService,
  pods: readonly Pod[],
  phaseOf: (pod: Pod) => string | undefined,
  signal: AbortSignal,
): Promise<void> {
  for (const pod of pods) {
    const phase = phaseOf(pod);
    if (phase !== 'Succeeded' && phase !== 'Failed') continue;
    for (const { id, state } of await runtime.listContainers({ podUid: podUid(pod) }, signal)) {
      if (state === 'exited') await runtime.removeContainer(id, signal);
    }
  }
}
