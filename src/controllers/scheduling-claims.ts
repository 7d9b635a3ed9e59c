import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';

interface Claim extends KubeObject {
  status?: { phase?: string };
}

/** Says what keeps a Pod from every node because of its claims; `undefined` when they are all bound. */
export function claimFault(pod: Pod, find: (name: string) => Claim | undefined): string | undefined {
  let isUnbound = false;
  for (const { persistentVolumeClaim } of pod.spec.volumes ?? []) {
    const name = persistentVolumeClaim?.claimName;
    if (name === undefined) continue;
    const claim = find(name);
    if (claim === undefined) return `persistentvolumeclaim "${name}" not found`;
    if (claim.status?.phase === 'Lost') {
      return `persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${volumeOf(claim)}"`;
    }
    if (claim.metadata.deletionTimestamp !== undefined) {
      return `persistentvolumeclaim "${name}" is being deleted`;
    }
    if (claim.status?.phase !== 'Bound') isUnbound = true;
  }
  return isUnbound ? 'pod has unbound immediate PersistentVolumeClaims' : undefined;
}

function volumeOf(claim: Claim): string {
  const { spec } = claim as Claim & { spec?: { volumeName?: string } };
  return spec?.volumeName ?? '';
}
