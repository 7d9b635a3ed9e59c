import type { PodContainerStatus, PodStatus } from '../../kube/pod.ts';

/** Which container's log to read, or why there is none (rule 4.15). */
export type LogTarget = { readonly containerId: string } | { readonly status: 400; readonly message: string };

/** Chooses the container whose log answers a request, by the Pod's status. IDs keep their runtime prefix. */
export function logTarget(
  podName: string,
  status: PodStatus | undefined,
  container: string,
  previous: boolean,
): LogTarget {
  const found = [
    ...(status?.initContainerStatuses ?? []),
    ...(status?.containerStatuses ?? []),
    ...(status?.ephemeralContainerStatuses ?? []),
  ].find(({ name }) => name === container);
  if (found === undefined) {
    return { status: 400, message: `container "${container}" in pod "${podName}" is not available` };
  }
  const last = found.lastState?.terminated?.containerID ?? '';
  if (previous) {
    if (last !== '') return { containerId: last };
    return {
      status: 400,
      message: `previous terminated container "${container}" in pod "${podName}" not found`,
    };
  }
  const current = currentId(found, last);
  if (current !== '') return { containerId: current };
  const why = found.state?.waiting === undefined ? ' - no logs yet' : `: ${waitingWords(found)}`;
  return { status: 400, message: `container "${container}" in pod "${podName}" is waiting to start${why}` };
}

function currentId(status: PodContainerStatus, last: string): string {
  if (status.state?.running !== undefined) return status.containerID ?? '';
  if (status.state?.terminated !== undefined) return status.state.terminated.containerID ?? last;
  return last;
}

function waitingWords(status: PodContainerStatus): string {
  const reason = status.state?.waiting?.reason ?? '';
  if (reason === 'ErrImagePull') return "image can't be pulled";
  if (reason === 'ImagePullBackOff') return 'trying and failing to pull image';
  return reason;
}
