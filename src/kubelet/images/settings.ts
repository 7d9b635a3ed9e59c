import type { VerificationPolicy } from './verification-policy.ts';

/** The image fields of KubeletConfiguration, with defaults applied and checked. Times are milliseconds. */
export interface ImageSettings {
  /** Pull requests per second; 0 is unlimited. */
  readonly registryPullQps: number;
  readonly registryBurst: number;
  readonly serializeImagePulls: boolean;
  /** Pulls at the same time when not serialized; undefined is unlimited. */
  readonly maxParallelImagePulls: number | undefined;
  /** Feature gate KubeletEnsureSecretPulledImages; without it a present image is free for all (rules 3.6, 3.41). */
  readonly verifyPulledImages: boolean;
  readonly verificationPolicy: VerificationPolicy;
  /** Patterns of images that are exempt under `NeverVerifyAllowlistedImages`. */
  readonly verificationAllowlist: readonly string[];
  readonly imageMinimumGcAge: number;
  /** 0 is off. */
  readonly imageMaximumGcAge: number;
  readonly imageGcHighThresholdPercent: number;
  readonly imageGcLowThresholdPercent: number;
  /** -1 is no cap, 0 none. */
  readonly nodeStatusMaxImages: number;
  /** Limit of every image call but the pull itself. */
  readonly runtimeRequestTimeout: number;
  readonly imageServiceEndpoint: string;
  readonly maxPods: number;
}

export const DEFAULT_IMAGE_SETTINGS: ImageSettings = {
  registryPullQps: 5,
  registryBurst: 10,
  serializeImagePulls: true,
  maxParallelImagePulls: undefined,
  verifyPulledImages: true,
  verificationPolicy: 'NeverVerifyPreloadedImages',
  verificationAllowlist: [],
  imageMinimumGcAge: 120_000,
  imageMaximumGcAge: 0,
  imageGcHighThresholdPercent: 85,
  imageGcLowThresholdPercent: 80,
  nodeStatusMaxImages: 50,
  runtimeRequestTimeout: 120_000,
  imageServiceEndpoint: '',
  maxPods: 110,
};
