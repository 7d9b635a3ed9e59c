import type { ContainerStatus, RuntimeService } from '../runtime/runtime-service.ts';

/** A container as the runtime tells of it, for tests: it runs, unless `more` says otherwise. */
export function statusOf(name: string, more: Partial<ContainerStatus> = {}): ContainerStatus {
  return {
    id: `id-${name}`,
    sandboxId: 'box',
    name,
    attempt: 0,
    state: 'running',
    createdAt: 1,
    startedAt: 1,
    finishedAt: 0,
    exitCode: 0,
    reason: '',
    message: '',
    imageId: `image-of-${name}`,
    imageRef: '',
    image: '',
    labels: {},
    annotations: {},
    logPath: '',
    mounts: [],
    ...more,
  };
}

/** A runtime that can do what a test gives it and nothing else. */
export function runtimeOf(parts: Partial<RuntimeService>): RuntimeService {
  return parts as RuntimeService;
}
