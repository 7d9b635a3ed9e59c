import type { Pod, Toleration } from '../kube/pod.ts';
import { forbidden } from '../kube/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission-chain.ts';

/** Seconds that a Pod stays on a node that stopped answering, when it does not say itself. */
const TOLERATION_SECONDS = 300;
/** The classes that every cluster has; others would need the scheduling group, which is not served. */
const PRIORITIES: ReadonlyMap<string, number> = new Map([
  ['system-node-critical', 2_000_001_000],
  ['system-cluster-critical', 2_000_000_000],
]);

/** Returns the Pod that a request creates or changes through its main path, if it does. */
export function podOf(request: AdmissionRequest): Pod | undefined {
  const isPod = request.resource.group === '' && request.resource.resource === 'pods';
  if (!isPod || request.subresource !== '' || request.operation === 'DELETE') return undefined;
  return request.object as Pod | undefined;
}

/** Resolves `priorityClassName` into a number, as the plugin Priority does. */
export const podPriority: AdmissionPlugin = {
  name: 'Priority',
  admit: (request) => {
    const pod = podOf(request);
    if (pod === undefined) return;
    if (request.operation === 'UPDATE') {
      const old = request.oldObject as Pod;
      if (pod.spec.priority === undefined && old.spec.priority !== undefined)
        pod.spec.priority = old.spec.priority;
      if (pod.spec.preemptionPolicy === undefined && old.spec.preemptionPolicy !== undefined) {
        pod.spec.preemptionPolicy = old.spec.preemptionPolicy;
      }
      return;
    }
    const name = pod.spec.priorityClassName ?? '';
    const value = name === '' ? 0 : PRIORITIES.get(name);
    if (value === undefined) {
      throw forbidden(request.resource, request.name, `no PriorityClass with name ${name} was found`);
    }
    if (pod.spec.priority !== undefined && pod.spec.priority !== value) {
      throw forbidden(
        request.resource,
        request.name,
        `the integer value of priority (${pod.spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
      );
    }
    pod.spec.priority = value;
    pod.spec.preemptionPolicy ??= 'PreemptLowerPriority';
  },
};

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
