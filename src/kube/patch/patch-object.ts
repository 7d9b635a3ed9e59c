import type { Decoded, FieldValidation } from '../decode/decode-object.ts';
import type { KubeObject } from '../object.ts';
import type { ResourceInfo } from '../resources.ts';

export type PatchMediaType =
  | 'application/json-patch+json'
  | 'application/merge-patch+json'
  | 'application/strategic-merge-patch+json';

export interface PatchOptions {
  readonly mediaType: PatchMediaType;
  readonly resource: ResourceInfo;
  readonly fieldValidation: FieldValidation;
}

/**
 * Applies a patch body to the stored object and decodes the outcome. Does not default, validate or store.
 *
 * @throws StatusError with the API's texts: 400 unreadable, 422 does not fit, 500 strategic directives that make no sense
 */
export declare function patchObject<T extends KubeObject>(
  current: T,
  body: Uint8Array,
  options: PatchOptions,
): Decoded<T>;
