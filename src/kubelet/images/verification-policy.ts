import type { ImageAllowlist } from './image-allowlist.ts';

/** Who must prove, by a credential, the right to an image that is on the node already (rule 3.14). */
export type VerificationPolicy =
  | 'NeverVerify'
  | 'NeverVerifyPreloadedImages'
  | 'NeverVerifyAllowlistedImages'
  | 'AlwaysVerify';

export const VERIFICATION_POLICIES: readonly VerificationPolicy[] = [
  'NeverVerify',
  'NeverVerifyPreloadedImages',
  'NeverVerifyAllowlistedImages',
  'AlwaysVerify',
];

/**
 * Tells whether a Pod must prove its right to a present image (rules 3.14, 3.15).
 *
 * @param image string as in the Pod; only the allow-list looks at it
 */
export function requiresVerification(
  policy: VerificationPolicy,
  allowlist: ImageAllowlist,
  image: string,
  pulledByKubelet: boolean,
): boolean {
  if (policy === 'NeverVerify') return false;
  if (policy === 'NeverVerifyPreloadedImages') return pulledByKubelet;
  return policy === 'AlwaysVerify' || !allowlist.matches(image);
}
