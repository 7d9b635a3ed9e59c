import type { KubeObject } from './object.ts';
import type { Pod } from './pod.ts';

/** A claim that a Pod uses. */
export interface UsedClaim {
  readonly name: string;
  /** Made for the Pod from the template in its volume, and gone with it. */
  readonly isOwn: boolean;
}

/** Lists the volume claims of a Pod, those included that are made for it: they are called `POD-VOLUME`. */
export function usedClaims(pod: Pod): UsedClaim[] {
  return (pod.spec.volumes ?? []).flatMap((volume): UsedClaim[] => {
    const named = volume.persistentVolumeClaim?.claimName;
    if (named !== undefined) return [{ name: named, isOwn: false }];
    if (volume.ephemeral === undefined) return [];
    return [{ name: ownClaimName(pod, volume.name), isOwn: true }];
  });
}

export function ownClaimName(pod: Pod, volume: string): string {
  return `${pod.metadata.name}-${volume}`;
}

/** Says why a claim of the right name is not the one made for a Pod; `undefined` when it is. */
export function claimIsNotOwn(pod: Pod, claim: KubeObject): string | undefined {
  const isOwn = (claim.metadata.ownerReferences ?? []).some(
    ({ uid, controller }) => controller === true && uid === pod.metadata.uid,
  );
  if (isOwn) return undefined;
  const { namespace = '', name } = claim.metadata;
  return `PVC ${namespace}/${name} was not created for pod ${pod.metadata.namespace ?? ''}/${pod.metadata.name} (pod is not owner)`;
}
