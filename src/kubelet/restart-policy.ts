import type { Container, Pod } from '../kube/pod.ts';
import type { ContainerStatus } from '../runtime/runtime-service.ts';
import { isSidecar } from './pod-reference.ts';

/** Returns the policy that decides for one container: a sidecar is always started again, whatever the Pod says. */
export function restartPolicyOf(pod: Pod, container: Container, init: boolean): string {
  if (init && isSidecar(container)) return 'Always';
  const policy = pod.spec.restartPolicy ?? 'Always';
  // An init container that is done is done, also in a Pod that restarts always.
  return init && policy === 'Always' ? 'OnFailure' : policy;
}

/** Tells whether a container should (still, or again) be started (rule 4.11). */
export function shouldRun(
  pod: Pod,
  container: Container,
  init: boolean,
  status: ContainerStatus | undefined,
): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false;
  if (status === undefined) return true;
  if (status.state === 'running') return false;
  if (status.state !== 'exited') return true;
  const policy = restartPolicyOf(pod, container, init);
  if (policy === 'Never') return false;
  return policy !== 'OnFailure' || status.exitCode !== 0;
}
