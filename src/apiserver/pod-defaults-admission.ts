import type { Pod, Toleration } from '../kube/pod.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission-chain.ts';

/** Seconds that a Pod stays on a node that stopped answering, when it does not say itself. */
const TOLERATION_SECONDS = 300;
/** Returns the Pod that a request creates or changes through its main path, if it does. */
export function podOf(request: AdmissionRequest): Pod | undefined {
  const isPod = request.resource.group === '' && request.resource.resource === 'pods';
  if (!isPod || request.subresource !== '' || request.operation === 'DELETE') return undefined;
  return request.object as Pod | undefined;
}

/** Gives Pods five minutes on a node that is not ready or out of reach, as DefaultTolerationSeconds does. */
export const defaultTolerations: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  admit: (request) => {
    const pod = podOf(request);
    if (pod === undefined) return;
    const tolerations = pod.spec.tolerations ?? [];
    const added: Toleration[] = [];
    for (const key of ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']) {
      const has = tolerations.some(
        (toleration) =>
          (toleration.key === key || (toleration.key ?? '') === '') &&
          (toleration.effect === 'NoExecute' || (toleration.effect ?? '') === ''),
      );
      if (has) continue;
      added.push({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: TOLERATION_SECONDS });
    }
    if (added.length > 0) pod.spec.tolerations = [...tolerations, ...added];
  },
};
