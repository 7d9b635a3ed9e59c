import type { ContainerKind } from './pod-reference.ts';

/** Told of containers that start, or do not (section 14). */
export interface StartMetrics {
  /** @param code the waiting reason */
  containerNotStarted(kind: ContainerKind, code: string): void;
  imageVolumeRequested(): void;
  imageVolumeMounted(mounted: boolean): void;
}
