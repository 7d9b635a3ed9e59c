import { parse as parseYaml } from 'yaml';
import { messageOf } from '../../base/coded-error.ts';
import { formatGoDuration } from '../../base/go-duration.ts';
import {
  ConfigurationError,
  ConfigurationFields as Fields,
  isObject,
  type KubeletConfigurationDocument,
} from './configuration-fields.ts';
import { DEFAULT_TRANSITION_PERIOD } from './eviction-state.ts';
import type { EvictionFields } from './eviction-thresholds.ts';
import { AllowlistError, ImageAllowlist } from './image-allowlist.ts';
import { DEFAULT_IMAGE_SETTINGS, type ImageSettings } from './settings.ts';
import { VERIFICATION_POLICIES, type VerificationPolicy } from './verification-policy.ts';

const API_VERSION = 'kubelet.config.k8s.io/v1beta1';
const KIND = 'KubeletConfiguration';
/** Larger than any real one by far. */
const MAX_CONFIGURATION_BYTES = 1024 * 1024;

/**
 * Reads a KubeletConfiguration in YAML or JSON, without looking into its fields.
 *
 * @throws ConfigurationError `BAD_SYNTAX`
 */
export function parseKubeletConfiguration(text: string): KubeletConfigurationDocument {
  if (text.length > MAX_CONFIGURATION_BYTES)
    throw new ConfigurationError('BAD_SYNTAX', 'Cannot read the kubelet configuration: it is too large');
  let document: unknown;
  try {
    document = parseYaml(text, { maxAliasCount: 100, merge: false });
  } catch (error) {
    throw new ConfigurationError('BAD_SYNTAX', `Cannot read the kubelet configuration: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (!isObject(document))
    throw new ConfigurationError('BAD_SYNTAX', 'Cannot read the kubelet configuration: it is no object');
  const { kind, apiVersion } = document;
  if (kind !== KIND || apiVersion !== API_VERSION) {
    const found = `${String(apiVersion)}, Kind=${String(kind)}`;
    throw new ConfigurationError(
      'BAD_SYNTAX',
      `Cannot read the kubelet configuration: it is "${found}", expected "${API_VERSION}, Kind=${KIND}"`,
    );
  }
  return document;
}

/**
 * Takes the image fields out of a KubeletConfiguration, applies Kubernetes' defaults and checks them (section 0).
 *
 * @throws ConfigurationError `INVALID` with the kubelet's texts, all of them
 */
export function imageSettingsOf(document: KubeletConfigurationDocument): ImageSettings {
  const given = new Fields(document);
  const gates = given.object('featureGates');
  const verifyPulledImages = new Fields(gates).boolean('KubeletEnsureSecretPulledImages') ?? true;
  const defaults = DEFAULT_IMAGE_SETTINGS;
  const maxParallelImagePulls = given.integer('maxParallelImagePulls');
  const minimum = given.duration('imageMinimumGCAge') ?? 0;
  const settings = {
    registryPullQps: given.integer('registryPullQPS') ?? defaults.registryPullQps,
    registryBurst: given.integer('registryBurst') || defaults.registryBurst,
    // Parallel pulls were asked for: that decides, unless the field speaks for itself.
    serializeImagePulls: given.boolean('serializeImagePulls') ?? !((maxParallelImagePulls ?? 0) >= 2),
    maxParallelImagePulls,
    verifyPulledImages,
    verificationPolicy: given.string('imagePullCredentialsVerificationPolicy') || defaults.verificationPolicy,
    verificationAllowlist: given.strings('preloadedImagesVerificationAllowlist') ?? [],
    imageMinimumGcAge: minimum === 0 ? defaults.imageMinimumGcAge : minimum,
    imageMaximumGcAge: given.duration('imageMaximumGCAge') ?? defaults.imageMaximumGcAge,
    imageGcHighThresholdPercent:
      given.integer('imageGCHighThresholdPercent') ?? defaults.imageGcHighThresholdPercent,
    imageGcLowThresholdPercent:
      given.integer('imageGCLowThresholdPercent') ?? defaults.imageGcLowThresholdPercent,
    nodeStatusMaxImages: given.integer('nodeStatusMaxImages') ?? defaults.nodeStatusMaxImages,
    runtimeRequestTimeout: given.duration('runtimeRequestTimeout') || defaults.runtimeRequestTimeout,
    imageServiceEndpoint:
      given.string('imageServiceEndpoint') || given.string('containerRuntimeEndpoint') || '',
    maxPods: given.integer('maxPods') || defaults.maxPods,
  };
  const problems = validateImageSettings(settings);
  if (problems.length > 0) {
    const texts = problems.map((problem) => `invalid configuration: ${problem}`);
    throw new ConfigurationError('INVALID', texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`);
  }
  return { ...settings, verificationPolicy: settings.verificationPolicy as VerificationPolicy };
}

/**
 * Takes the eviction fields out of a KubeletConfiguration, for `parseEvictionThresholds`.
 *
 * @throws ConfigurationError `BAD_FIELD`
 */
export function evictionFieldsOf(document: KubeletConfigurationDocument): EvictionFields {
  const given = new Fields(document);
  return {
    evictionHard: given.texts('evictionHard'),
    evictionSoft: given.texts('evictionSoft'),
    evictionSoftGracePeriod: given.texts('evictionSoftGracePeriod'),
    evictionMinimumReclaim: given.texts('evictionMinimumReclaim'),
    mergeDefaultEvictionSettings: given.boolean('mergeDefaultEvictionSettings'),
  };
}

/**
 * Takes out how long a pressure condition stays after it was last seen, in milliseconds; five minutes by default (rule 11.27).
 *
 * @throws ConfigurationError
 */
export function evictionTransitionPeriodOf(document: KubeletConfigurationDocument): number {
  return new Fields(document).duration('evictionPressureTransitionPeriod') || DEFAULT_TRANSITION_PERIOD;
}

/**
 * Takes out the longest time that a Pod gets to end when a soft threshold evicts it, in seconds; below 0 there is no bound (rule 11.30).
 *
 * @throws ConfigurationError `BAD_FIELD`
 */
export function evictionMaxPodGracePeriodOf(document: KubeletConfigurationDocument): number {
  return new Fields(document).integer('evictionMaxPodGracePeriod') ?? 0;
}

/**
 * Takes out where the container runtime is reached; empty when nothing is said.
 *
 * @throws ConfigurationError `BAD_FIELD`
 */
export function containerRuntimeEndpointOf(document: KubeletConfigurationDocument): string {
  return new Fields(document).string('containerRuntimeEndpoint') ?? '';
}

/**
 * Takes out where static Pods stand, a directory or a file; empty when there are none.
 *
 * @throws ConfigurationError `BAD_FIELD`
 */
export function staticPodPathOf(document: KubeletConfigurationDocument): string {
  return new Fields(document).string('staticPodPath') ?? '';
}

/** Says what Kubernetes would refuse, in its words, without the prefix `invalid configuration: ` (section 0). */
export function validateImageSettings(
  settings: Omit<ImageSettings, 'verificationPolicy'> & { readonly verificationPolicy: string },
): readonly string[] {
  const problems: string[] = [];
  const check = (fine: boolean, text: string): void => {
    if (!fine) problems.push(text);
  };
  const { maxParallelImagePulls: parallel } = settings;
  const { imageMinimumGcAge: minimum, imageMaximumGcAge: maximum } = settings;
  const { imageGcHighThresholdPercent: high, imageGcLowThresholdPercent: low } = settings;
  for (const [name, value] of [
    ['imageGCHighThresholdPercent (--image-gc-high-threshold)', high],
    ['imageGCLowThresholdPercent (--image-gc-low-threshold)', low],
  ] as const) {
    check(value >= 0 && value <= 100, `${name} ${value} must be between 0 and 100, inclusive`);
  }
  check(
    low < high,
    `imageGCLowThresholdPercent (--image-gc-low-threshold) ${low} must be less than imageGCHighThresholdPercent (--image-gc-high-threshold) ${high}`,
  );
  check(minimum >= 0, `imageMinimumGCAge ${formatGoDuration(minimum)} must not be negative`);
  check(maximum >= 0, `imageMaximumGCAge ${formatGoDuration(maximum)} must not be negative`);
  check(
    maximum <= 0 || maximum > minimum,
    `imageMaximumGCAge ${formatGoDuration(maximum)} must be greater than imageMinimumGCAge ${formatGoDuration(minimum)}`,
  );
  check(
    settings.nodeStatusMaxImages >= -1,
    `nodeStatusMaxImages (--node-status-max-images) ${settings.nodeStatusMaxImages} must be -1 or greater`,
  );
  check(
    settings.registryBurst >= 0,
    `registryBurst (--registry-burst) ${settings.registryBurst} must not be a negative number`,
  );
  check(
    settings.registryPullQps >= 0,
    `registryPullQPS (--registry-qps) ${settings.registryPullQps} must not be a negative number`,
  );
  if (parallel !== undefined) {
    check(parallel >= 1, `maxParallelImagePulls ${parallel} must be a positive number`);
    check(
      parallel <= 1 || !settings.serializeImagePulls,
      'maxParallelImagePulls cannot be larger than 1 unless SerializeImagePulls (--serialize-image-pulls) is set to false',
    );
  }
  problems.push(...verificationProblems(settings.verificationPolicy, settings.verificationAllowlist));
  return problems;
}

function verificationProblems(policy: string, allowlist: readonly string[]): string[] {
  const problems: string[] = [];
  if (!VERIFICATION_POLICIES.some((known) => known === policy)) {
    problems.push(
      `option "${policy}" specified for imagePullCredentialsVerificationPolicy. Valid options are "NeverVerify", "NeverVerifyPreloadedImages", "NeverVerifyAllowlistedImages" or "AlwaysVerify"`,
    );
  }
  if (allowlist.length === 0) return problems;
  if (policy !== 'NeverVerifyAllowlistedImages') {
    problems.push(
      'can\'t set `preloadedImagesVerificationAllowlist` if `imagePullCredentialsVertificationPolicy` is not "NeverVerifyAllowlistedImages"',
    );
  }
  try {
    void new ImageAllowlist(allowlist);
  } catch (error) {
    if (!(error instanceof AllowlistError)) throw error;
    problems.push(`invalid image pattern in \`preloadedImagesVerificationAllowlist\`: ${error.message}`);
  }
  return problems;
}
