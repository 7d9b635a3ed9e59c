import type { Decoded, FieldValidation } from '../decode/decode-object.ts';
import type { KubeObject } from '../object.ts';
import type { ResourceInfo } from '../resources.ts';
import type { FieldManager } from './managed-fields.ts';

export interface ApplyOptions {
  readonly resource: ResourceInfo;
  readonly by: FieldManager;
  readonly force: boolean;
  readonly fieldValidation: FieldValidation;
}

/**
 * Applies the configuration in `body` (JSON or YAML) to the stored object, or makes a new one when there is none.
 * The outcome carries its new managedFields and is not yet defaulted, validated or stored.
 *
 * @throws StatusError 409 with a cause per conflict (force off), 400 and 500 for bodies that cannot be applied
 */
export declare function serverSideApply<T extends KubeObject>(
  current: T | undefined,
  body: Uint8Array,
  options: ApplyOptions,
): Decoded<T>;
