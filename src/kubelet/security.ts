import type { Container, Pod, SecurityContext } from '../kube/pod.ts';
import type { Image } from '../pull/image-service.ts';
import type { ContainerConfig, LinuxUser } from '../runtime/runtime-service.ts';
import { ContainerConfigError } from './container-config-error.ts';
import { formatPod } from './pod-reference.ts';

/** The part of a security context that the API types do not spell out. */
interface FullContext extends SecurityContext {
  allowPrivilegeEscalation?: boolean;
  capabilities?: { add?: string[]; drop?: string[] };
}

export type SecurityConfig = Pick<
  ContainerConfig,
  'user' | 'privileged' | 'readonlyRootfs' | 'capabilities' | 'noNewPrivileges'
>;

/**
 * Derives what a container may do: its own security context over the Pod's.
 *
 * @throws ContainerConfigError when it must not run as root but would
 */
export function securityConfig(pod: Pod, container: Container, image: Image | undefined): SecurityConfig {
  const podContext = pod.spec.securityContext;
  const own: FullContext | undefined = container.securityContext;
  const runAsUser = own?.runAsUser ?? podContext?.runAsUser;
  const runAsGroup = own?.runAsGroup ?? podContext?.runAsGroup;
  if ((own?.runAsNonRoot ?? podContext?.runAsNonRoot) === true) {
    verifyNonRoot(pod, container, runAsUser, image);
  }
  const groups = [...(podContext?.supplementalGroups ?? [])];
  if (podContext?.fsGroup !== undefined) groups.push(podContext.fsGroup);
  const user: LinuxUser = {
    ...(runAsUser === undefined ? {} : { uid: runAsUser }),
    ...(runAsGroup === undefined ? {} : { gid: runAsGroup }),
    ...(groups.length === 0 ? {} : { supplementalGroups: groups }),
  };
  const { add = [], drop = [] } = own?.capabilities ?? {};
  return {
    ...(Object.keys(user).length === 0 ? {} : { user }),
    ...(own?.privileged === undefined ? {} : { privileged: own.privileged }),
    ...(own?.readOnlyRootFilesystem === undefined ? {} : { readonlyRootfs: own.readOnlyRootFilesystem }),
    ...(add.length + drop.length === 0 ? {} : { capabilities: { add, drop } }),
    ...(own?.allowPrivilegeEscalation === false ? { noNewPrivileges: true } : {}),
  };
}

function verifyNonRoot(
  pod: Pod,
  container: Container,
  runAsUser: number | undefined,
  image: Image | undefined,
): void {
  const where = `(pod: "${formatPod(pod)}", container: ${container.name})`;
  if (runAsUser !== undefined) {
    if (runAsUser === 0) {
      throw new ContainerConfigError(`container's runAsUser breaks non-root policy ${where}`);
    }
    return;
  }
  const named = image?.uid === undefined && image?.username !== undefined && image.username !== '';
  if (named) {
    throw new ContainerConfigError(
      `container has runAsNonRoot and image has non-numeric user (${image.username ?? ''}), cannot verify user is non-root ${where}`,
    );
  }
  if ((image?.uid ?? 0) === 0) {
    throw new ContainerConfigError(`container has runAsNonRoot and image will run as root ${where}`);
  }
}
