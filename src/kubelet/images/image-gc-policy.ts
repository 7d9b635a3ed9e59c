import { CodedError } from '../../base/coded-error.ts';
import type { ImageSettings } from './settings.ts';

export class ImageGcPolicyError extends CodedError<'BAD_POLICY'> {}

/** When images are removed. Times are milliseconds. */
export interface ImageGcPolicy {
  /** Per cent of the file system in use from which on images go; 100 is never. */
  readonly highThresholdPercent: number;
  /** Per cent down to which they go. */
  readonly lowThresholdPercent: number;
  /** Images younger than this stay. */
  readonly minAge: number;
  /** Images unused for longer go whatever the disk; 0 is off. */
  readonly maxAge: number;
}

/**
 * Makes the policy that settings ask for (rule 11.16).
 *
 * @throws ImageGcPolicyError
 */
export function imageGcPolicy(
  settings: Pick<
    ImageSettings,
    'imageGcHighThresholdPercent' | 'imageGcLowThresholdPercent' | 'imageMinimumGcAge' | 'imageMaximumGcAge'
  >,
): ImageGcPolicy {
  const { imageGcHighThresholdPercent: high, imageGcLowThresholdPercent: low } = settings;
  const bad = (message: string): ImageGcPolicyError => new ImageGcPolicyError('BAD_POLICY', message);
  if (high < 0 || high > 100) throw bad(`invalid HighThresholdPercent ${high}, must be in range [0-100]`);
  if (low < 0 || low > 100) throw bad(`invalid LowThresholdPercent ${low}, must be in range [0-100]`);
  if (low > high) throw bad(`LowThresholdPercent ${low} can not be higher than HighThresholdPercent ${high}`);
  return {
    highThresholdPercent: high,
    lowThresholdPercent: low,
    minAge: settings.imageMinimumGcAge,
    maxAge: settings.imageMaximumGcAge,
  };
}
