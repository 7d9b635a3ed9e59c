import type { FieldError } from '../field-error.ts';
import type { KubeObject } from '../object.ts';
import type { ResourceInfo } from '../resources.ts';

/** Checks a defaulted new object, metadata included; empty when it is valid. Pass the result to `invalid`. */
export declare function validateCreate(object: KubeObject, resource: ResourceInfo): FieldError[];
/** Checks a defaulted changed object against the stored one, immutable fields included. */
export declare function validateUpdate(
  object: KubeObject,
  old: KubeObject,
  resource: ResourceInfo,
  subresource?: string,
): FieldError[];
/** Texts for `Warning` headers that a valid object still deserves (rule 2.8, doubled env, …). */
export declare function warningsOf(object: KubeObject, resource: ResourceInfo, old?: KubeObject): string[];
