import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import type { Container, Pod } from '../kube/pod.ts';
import type { Image } from '../pull/image-service.ts';
import type { ContainerConfig, Mount } from '../runtime/runtime-service.ts';
import { ContainerConfigError } from './container-config-error.ts';
import { containerEnv, type EnvSources } from './env/container-env.ts';
import { expand } from './env/expand.ts';
import type { PodPaths } from './pod-paths.ts';
import { podUid } from './pod-reference.ts';
import { resourceConfig } from './resources.ts';
import { containerAnnotations, containerLabels } from './runtime-labels.ts';
import { securityConfig } from './security.ts';
import type { MountedVolume } from './volumes/volume-manager.ts';

export interface ContainerConfigInput {
  readonly pod: Pod;
  readonly container: Container;
  readonly attempt: number;
  readonly imageRef: string;
  readonly image: Image | undefined;
  readonly volumes: ReadonlyMap<string, MountedVolume>;
  /** References of image volumes, as `ensureImage` returned them. */
  readonly imageVolumes: ReadonlyMap<string, string>;
  readonly paths: PodPaths;
  readonly env: EnvSources;
}

/**
 * Builds what the runtime needs to make a container, and the files that are mounted into it.
 *
 * @throws ContainerConfigError
 */
export async function containerConfig(
  input: ContainerConfigInput,
  signal: AbortSignal,
): Promise<ContainerConfig> {
  const { pod, container, attempt } = input;
  const security = securityConfig(pod, container, input.image);
  const env = await containerEnv(pod, container, input.env, signal);
  const lookup = (name: string): string | undefined => env.get(name);
  const resources = resourceConfig(pod, container, input.env.capacity.memoryBytes);
  return {
    name: container.name,
    attempt,
    userSpecifiedImage: container.image ?? '',
    imageRef: input.imageRef,
    command: (container.command ?? []).map((word) => expand(word, lookup)),
    args: (container.args ?? []).map((word) => expand(word, lookup)),
    workingDir: container.workingDir ?? '',
    env: [...env].map(([key, value]) => ({ key, value })),
    mounts: await mounts(input),
    labels: containerLabels(pod, container),
    annotations: containerAnnotations(pod, container, attempt),
    logPath: join(container.name, `${attempt}.log`),
    stdin: container.stdin ?? false,
    ...(container.stdinOnce === true ? { stdinOnce: true } : {}),
    tty: container.tty ?? false,
    ...security,
    ...resources,
    ...stopSignal(container),
  };
}

async function mounts(input: ContainerConfigInput): Promise<Mount[]> {
  const { pod, container, attempt, paths } = input;
  const uid = podUid(pod);
  const result: Mount[] = [];
  for (const mount of container.volumeMounts ?? []) {
    const volume = input.volumes.get(mount.name);
    if (volume === undefined) {
      throw new ContainerConfigError(
        `cannot find volume "${mount.name}" to mount into container "${container.name}"`,
      );
    }
    const subPath = mount.subPath ?? '';
    if ('image' in volume) {
      const image = input.imageVolumes.get(mount.name) ?? volume.image;
      result.push({
        hostPath: '',
        containerPath: mount.mountPath,
        readonly: true,
        image,
        ...(subPath === '' ? {} : { imageSubPath: subPath }),
      });
      continue;
    }
    result.push({
      hostPath: subPath === '' ? volume.path : await subPathOf(volume.path, subPath),
      containerPath: mount.mountPath,
      readonly: mount.readOnly === true || volume.readonly,
    });
  }
  const taken = new Set(result.map((mount) => mount.containerPath));
  if (!taken.has('/etc/hosts')) {
    result.push({ hostPath: paths.etcHosts(uid), containerPath: '/etc/hosts', readonly: false });
  }
  const messagePath = container.terminationMessagePath ?? '/dev/termination-log';
  if (messagePath !== '') {
    const file = paths.terminationLog(uid, container.name, attempt);
    await mkdir(dirname(file), { recursive: true, mode: 0o755 });
    await writeFile(file, '', { flag: 'a' });
    // The container may run as any user.
    await chmod(file, 0o666);
    result.push({ hostPath: file, containerPath: messagePath, readonly: false });
  }
  return result;
}

async function subPathOf(volume: string, subPath: string): Promise<string> {
  const normal = posix.normalize(subPath);
  if (normal.startsWith('/') || normal.split('/').includes('..')) {
    throw new ContainerConfigError(`subPath "${subPath}" must stay inside its volume`);
  }
  const path = join(volume, normal);
  await mkdir(path, { recursive: true }).catch((error: unknown) => {
    // A file of that name is mounted as it is.
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  });
  return path;
}

function stopSignal(container: Container): { stopSignal?: string } {
  const lifecycle = container.lifecycle as { stopSignal?: string } | undefined;
  return lifecycle?.stopSignal === undefined ? {} : { stopSignal: lifecycle.stopSignal };
}
