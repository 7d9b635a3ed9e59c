import { messageOf } from '../../base/coded-error.ts';
import { parseGoDuration } from '../../base/go-duration.ts';
import { ConfigurationError, type KubeletConfigurationDocument } from './configuration-fields.ts';
import { parseThresholdFlag } from './eviction-thresholds.ts';

/** A flag of the kubelet's command line that has to do with images, and where its value belongs today. */
export interface KubeletFlag {
  /** Without the two hyphens. */
  readonly name: string;
  readonly value: string;
  readonly description: string;
  /** Field of KubeletConfiguration; absent for what no configuration has any more. */
  readonly field?: string;
  /** What to say when the flag is used and has no field. */
  readonly instead?: string;
  /** Turns the text into the field's value; throws on what is none. */
  readonly parse: (text: string) => unknown;
}

const integer = (text: string): number => {
  if (!/^[+-]?\d+$/.test(text))
    throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
};
const truth = (text: string): boolean => {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(?:0|f|F|false|FALSE|False)$/.test(text)) return false;
  throw new Error(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
};
const duration = (text: string): string => {
  parseGoDuration(text);
  return text;
};
const words = (text: string): string => text;
const lessThan = (text: string): unknown => parseThresholdFlag(text, '<');
const pairs = (text: string): unknown => parseThresholdFlag(text, '=');

/** Every flag of the kubelet that is understood; most are deprecated there in favour of the configuration file (section 0). */
export const KUBELET_FLAGS: readonly KubeletFlag[] = [
  flag('image-gc-high-threshold', 'percent', 'imageGCHighThresholdPercent', integer),
  flag('image-gc-low-threshold', 'percent', 'imageGCLowThresholdPercent', integer),
  flag('minimum-image-ttl-duration', 'duration', 'imageMinimumGCAge', duration),
  flag('eviction-hard', 'signal<value,…', 'evictionHard', lessThan),
  flag('eviction-soft', 'signal<value,…', 'evictionSoft', lessThan),
  flag('eviction-soft-grace-period', 'signal=duration,…', 'evictionSoftGracePeriod', pairs),
  flag('eviction-minimum-reclaim', 'signal=value,…', 'evictionMinimumReclaim', pairs),
  flag('eviction-pressure-transition-period', 'duration', 'evictionPressureTransitionPeriod', duration),
  flag('eviction-max-pod-grace-period', 'seconds', 'evictionMaxPodGracePeriod', integer),
  flag('registry-qps', 'number', 'registryPullQPS', integer),
  flag('registry-burst', 'number', 'registryBurst', integer),
  flag('serialize-image-pulls', 'true|false', 'serializeImagePulls', truth),
  flag('node-status-max-images', 'number', 'nodeStatusMaxImages', integer),
  flag('runtime-request-timeout', 'duration', 'runtimeRequestTimeout', duration),
  flag('max-pods', 'number', 'maxPods', integer),
  flag('healthz-port', 'port', 'healthzPort', integer),
  flag('healthz-bind-address', 'address', 'healthzBindAddress', words),
  flag('read-only-port', 'port', 'readOnlyPort', integer),
  flag('pod-manifest-path', 'path', 'staticPodPath', words),
  flag('container-runtime-endpoint', 'endpoint', 'containerRuntimeEndpoint', words),
  flag('image-service-endpoint', 'endpoint', 'imageServiceEndpoint', words),
  {
    name: 'image-pull-progress-deadline',
    value: 'duration',
    description: 'end a pull that receives no byte for so long (default 5m0s)',
    instead: 'the runtime’s image_pull_progress_timeout',
    parse: duration,
  },
];

function flag(name: string, value: string, field: string, parse: KubeletFlag['parse']): KubeletFlag {
  return { name, value, field, parse, description: `the kubelet’s flag; ${field} of --config` };
}

/** What flags change and say. */
export interface FlaggedConfiguration {
  readonly document: KubeletConfigurationDocument;
  /** Milliseconds; only when the flag was given (rule 17.1). */
  readonly progressTimeoutMs: number | undefined;
  /** For each flag that has another name today, a sentence about it. */
  readonly remarks: readonly string[];
}

/**
 * Lays flags over a KubeletConfiguration: a flag wins over the field, as in the kubelet.
 *
 * @param flags texts by name, without hyphens
 * @throws ConfigurationError `BAD_FIELD` naming the flag
 */
export function withKubeletFlags(
  document: KubeletConfigurationDocument,
  flags: ReadonlyMap<string, string>,
): FlaggedConfiguration {
  const fields: Record<string, unknown> = {};
  const remarks: string[] = [];
  let progressTimeoutMs: number | undefined;
  for (const { name, field, instead, parse } of KUBELET_FLAGS) {
    const text = flags.get(name);
    if (text === undefined) continue;
    let value: unknown;
    try {
      value = parse(text);
    } catch (error) {
      throw new ConfigurationError(
        'BAD_FIELD',
        `invalid argument ${JSON.stringify(text)} for "--${name}" flag: ${messageOf(error)}`,
        { cause: error },
      );
    }
    if (field === undefined) progressTimeoutMs = parseGoDuration(text);
    else fields[field] = value;
    const today = field === undefined ? (instead ?? '') : `${field} in the file that --config names`;
    remarks.push(`--${name} is ${today} today`);
  }
  return { document: { ...document, ...fields }, progressTimeoutMs, remarks };
}
