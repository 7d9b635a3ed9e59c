import { CodedError } from '../base/coded-error.ts';
import { formatGoDuration } from '../base/go-duration.ts';

export class ImagePolicyConfigError extends CodedError<'NO_CONFIG' | 'BAD_CONFIG'> {}

/** How the image policy webhook is asked (rule 2.14). Times are milliseconds. */
export interface ImagePolicyConfig {
  /** Kubeconfig that says where the webhook is and how to authenticate to it. */
  readonly kubeConfigFile: string;
  /** How long a permission is remembered; 0 is not at all. */
  readonly allowTtl: number;
  readonly denyTtl: number;
  /** First pause between attempts; 0 is no second attempt. */
  readonly retryBackoff: number;
  /** Whether Pods pass while the webhook cannot be asked. */
  readonly defaultAllow: boolean;
}

interface Range {
  /** Milliseconds a unit of the field. */
  readonly unit: number;
  readonly minimum: number;
  readonly maximum: number;
  readonly fallback: number;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const NANOSECOND = 1e-6;
const RANGES = {
  retryBackoff: { unit: 1, minimum: NANOSECOND, maximum: 5 * MINUTE, fallback: 500 },
  allowTTL: { unit: SECOND, minimum: SECOND, maximum: 30 * MINUTE, fallback: 5 * MINUTE },
  denyTTL: { unit: SECOND, minimum: SECOND, maximum: 30 * MINUTE, fallback: 30 * SECOND },
} as const satisfies Record<string, Range>;

/**
 * Reads the plug-in's configuration, decoded from JSON or YAML: `{ imagePolicy: { kubeConfigFile, allowTTL, … } }`.
 *
 * @throws ImagePolicyConfigError
 */
export function parseImagePolicyConfig(document: unknown): ImagePolicyConfig {
  if (document === undefined || document === null)
    throw new ImagePolicyConfigError('NO_CONFIG', 'no config specified');
  const fields = objectAt(objectAt(document, 'document').imagePolicy ?? {}, 'imagePolicy');
  const { kubeConfigFile = '', defaultAllow = false } = fields;
  if (typeof kubeConfigFile !== 'string') throw bad('kubeConfigFile', 'a string');
  if (typeof defaultAllow !== 'boolean') throw bad('defaultAllow', 'a boolean');
  return {
    kubeConfigFile,
    retryBackoff: duration(fields, 'retryBackoff'),
    allowTtl: duration(fields, 'allowTTL'),
    denyTtl: duration(fields, 'denyTTL'),
    defaultAllow,
  };
}

/** 0 or absent is the default, -1 turns the thing off. */
function duration(fields: Readonly<Record<string, unknown>>, name: keyof typeof RANGES): number {
  const { unit, minimum, maximum, fallback } = RANGES[name];
  const given = fields[name] ?? 0;
  if (typeof given !== 'number' || !Number.isSafeInteger(given)) throw bad(name, 'an integer');
  if (given === -1) return 0;
  if (given === 0) return fallback;
  const value = given * unit;
  if (value >= minimum && value <= maximum) return value;
  throw new ImagePolicyConfigError(
    'BAD_CONFIG',
    `valid value is between ${formatGoDuration(minimum)} and ${formatGoDuration(maximum)}, got ${formatGoDuration(value)}`,
  );
}

function objectAt(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return Object.assign(Object.create(null) as Record<string, unknown>, value);
  throw bad(name, 'an object');
}

function bad(name: string, expected: string): ImagePolicyConfigError {
  return new ImagePolicyConfigError(
    'BAD_CONFIG',
    `Cannot read the image policy config: ${name} is not ${expected}`,
  );
}
