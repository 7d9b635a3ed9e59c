import type { ContainerKind } from './pod-reference.ts';

/** Told of containers that start, or do not (section 14). */
export interface StartMetrics {
  /** @param code the waiting reason */
  containerNotStarted(kind: ContainerKind, code: string): void;
  /** Told when a container is to start that mounts so many image volumes, all of which are there. */
  imageVolumesRequested(count: number): void;
  imageVolumeMounted(mounted: boolean): void;
}
