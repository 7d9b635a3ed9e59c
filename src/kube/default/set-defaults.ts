import type { KubeObject } from '../object.ts';
import type { PullPolicy } from '../pod.ts';

export interface DefaultOptions {
  /** Says the policy of an image that has none (rule 2.2): pass the function of `admission/pull-policy.ts`. */
  readonly pullPolicyOf: (image: string) => PullPolicy;
}

/** Fills in, in place, every default of the object's kind (dispatches on apiVersion and kind). Call after each decode and patch. */
export declare function setDefaults(object: KubeObject, options: DefaultOptions): void;
