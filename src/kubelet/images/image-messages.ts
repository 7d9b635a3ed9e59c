import { formatGoDuration } from '../../base/go-duration.ts';
import { goQuote } from '../../base/go-quote.ts';
import type { ImageWaitingReason } from '../ensure-image.ts';

/*
 * Every text with which image handling speaks to users (rules 4.1, 4.2, 4.5 to 4.9). `image` is the string in the Pod.
 */

export const badName = (image: string, error: string): string =>
  `Failed to apply default image tag ${goQuote(image)}: ${error}`;

/** Kubernetes 1.36.2 prints an empty name here; older releases printed the image (rule 4.1). */
export const cannotInspect = (error: string): string => `Failed to inspect image "": ${error}`;

export const present = (image: string, verified: boolean): string =>
  `Container image ${goQuote(image)} already present on machine${verified ? ' and can be accessed by the pod' : ''}`;

export const neverPull = (image: string): string =>
  `Container image ${goQuote(image)} is not present with pull policy of Never`;

export const backOff = (image: string): string => `Back-off pulling image ${goQuote(image)}`;

export const pulling = (image: string): string => `Pulling image ${goQuote(image)}`;

export const pullFailed = (image: string, error: string): string =>
  `Failed to pull image ${goQuote(image)}: ${error}`;

export const cannotRecordIntent = (image: string, error: string): string =>
  `Failed to record image pull intent for container image ${goQuote(image)}: ${error}`;

/** Words a success; durations are milliseconds, in the runtime and altogether. */
export function pulled(image: string, inRuntime: number, altogether: number, size: number): string {
  const print = (ms: number): string => formatGoDuration(Math.trunc(ms));
  return `Successfully pulled image ${goQuote(image)} in ${print(inRuntime)} (${print(altogether)} including waiting). Image size: ${size} bytes.`;
}

const RUNTIME_WORDS: readonly (readonly [ImageWaitingReason, string])[] = [
  ['RegistryUnavailable', 'the registry is unavailable'],
  ['SignatureValidationFailed', 'the signature validation failed'],
];

/** Turns the error of a pull into the container's waiting reason and message (rules 4.5 to 4.8). */
export function pullFailure(image: string, error: string): { reason: ImageWaitingReason; message: string } {
  for (const [reason, because] of RUNTIME_WORDS) {
    if (error.startsWith(reason)) {
      const rest = error.slice(reason.length);
      return { reason, message: `image pull failed for ${image} because ${because}${rest}` };
    }
  }
  return { reason: 'ErrImagePull', message: error };
}

/** Joins the failures of several candidates as Kubernetes prints them: one distinct text alone, several in brackets (rule 3.21). */
export function aggregate(messages: readonly string[]): string {
  const distinct = [...new Set(messages)];
  return distinct.length === 1 ? (distinct[0] ?? '') : `[${distinct.join(', ')}]`;
}
