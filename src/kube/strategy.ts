import type { KubeObject } from './object.ts';
import type { ResourceInfo } from './resources.ts';

/**
 * Does in place what the API does before validation on create: drops status, sets generation where the kind
 * counts one, first status (Namespace Active, Pod Pending with qosClass, PVC and PV phases).
 * Does not set name, uid, times or resourceVersion: that is storage's part.
 */
export declare function prepareForCreate(object: KubeObject, resource: ResourceInfo): void;
/**
 * Does in place what the API does before validation on update: keeps status (main path) or everything
 * but status (`status` path), counts generation up when the spec changed, keeps the fields that a client cannot change.
 */
export declare function prepareForUpdate(
  object: KubeObject,
  old: KubeObject,
  resource: ResourceInfo,
  subresource?: string,
): void;
