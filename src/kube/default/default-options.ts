import type { PullPolicy } from '../pod.ts';

export interface DefaultOptions {
  /** Says the policy of an image that has none (rule 2.2): pass the function of `admission/pull-policy.ts`. */
  readonly pullPolicyOf: (image: string) => PullPolicy;
}
