import type { KubeObject } from '../kube/object.ts';
import { quantityValue } from '../kube/quantity.ts';
import { matchesNodeTerms, type SelectorTerm } from '../kube/scheduling/node-selection.ts';
import { labelSelectorOf, type LabelSelectorObject } from '../kube/selector/label-selector.ts';

/* Claims, volumes and storage classes as controllers read and write them. */

export interface Claim extends KubeObject {
  spec: {
    accessModes?: string[];
    resources?: { requests?: { storage?: string } };
    storageClassName?: string;
    volumeName?: string;
    volumeMode?: string;
    selector?: LabelSelectorObject;
  };
  status?: { phase?: string; accessModes?: string[]; capacity?: { storage?: string } };
}

export interface Volume extends KubeObject {
  spec: {
    claimRef?: ClaimReference;
    persistentVolumeReclaimPolicy?: string;
    capacity?: { storage?: string };
    accessModes?: string[];
    storageClassName?: string;
    volumeMode?: string;
    hostPath?: { path: string; type?: string };
    nodeAffinity?: { required?: { nodeSelectorTerms?: SelectorTerm[] } };
  };
  status?: { phase?: string; message?: string; reason?: string; lastPhaseTransitionTime?: string };
}

export interface ClaimReference {
  kind?: string;
  apiVersion?: string;
  namespace?: string;
  name?: string;
  uid?: string;
  resourceVersion?: string;
}

export interface StorageClass extends KubeObject {
  provisioner?: string;
  reclaimPolicy?: string;
  volumeBindingMode?: string;
}

/** On a claim: the node of the first Pod that uses it, chosen before there is a volume. */
export const SELECTED_NODE = 'volume.kubernetes.io/selected-node';
/** On both: they found each other without help. */
export const BOUND_BY_CONTROLLER = 'pv.kubernetes.io/bound-by-controller';
/** On a claim: all of its binding is written down. */
export const BIND_COMPLETED = 'pv.kubernetes.io/bind-completed';
/** The provisioner of classes whose volumes are made by hand. */
export const NO_PROVISIONER = 'kubernetes.io/no-provisioner';

/** Tells whether a claim waits for its first Pod before it is bound. */
export function isDelayed(claim: Claim, storageClass: StorageClass | undefined): boolean {
  const isOpen = (claim.spec.volumeName ?? '') === '';
  return isOpen && storageClass?.volumeBindingMode === 'WaitForFirstConsumer';
}

/** Tells whether a volume can be reached from a node. */
export function reaches(volume: Volume, node: KubeObject): boolean {
  const required = volume.spec.nodeAffinity?.required;
  return required === undefined || matchesNodeTerms(required.nodeSelectorTerms ?? [], node);
}

/** Finds the smallest free volume that suits a claim; one that was kept for it comes first. */
export function findVolume(claim: Claim, volumes: readonly Volume[], node?: KubeObject): Volume | undefined {
  const named = claim.spec.volumeName ?? '';
  const suiting = volumes.filter(
    (volume) =>
      (named === '' || volume.metadata.name === named) &&
      isFreeFor(volume, claim) &&
      suits(volume, claim) &&
      (node === undefined || reaches(volume, node)),
  );
  const kept = suiting.find((volume) => volume.spec.claimRef !== undefined);
  if (kept !== undefined) return kept;
  const size = (volume: Volume): number => quantityValue(volume.spec.capacity?.storage ?? '0');
  return suiting.sort((a, b) => size(a) - size(b) || (a.metadata.name < b.metadata.name ? -1 : 1))[0];
}

function isFreeFor(volume: Volume, claim: Claim): boolean {
  const ref = volume.spec.claimRef;
  if (volume.metadata.deletionTimestamp !== undefined) return false;
  if (ref === undefined) return true;
  const { namespace, name } = claim.metadata;
  return (ref.uid ?? '') === '' && ref.namespace === namespace && ref.name === name;
}

function suits(volume: Volume, claim: Claim): boolean {
  const { selector } = claim.spec;
  if (selector !== undefined && !labelSelectorOf(selector).matches(volume.metadata.labels)) return false;
  return misfitOf(volume, claim) === undefined;
}

/** Says why a volume is not what a claim asks for; `undefined` when it is. */
export function misfitOf(volume: Volume, claim: Claim): string | undefined {
  const wanted = quantityValue(claim.spec.resources?.requests?.storage ?? '0');
  if (quantityValue(volume.spec.capacity?.storage ?? '0') < wanted) return 'requested PV is too small';
  if ((volume.spec.storageClassName ?? '') !== (claim.spec.storageClassName ?? ''))
    return 'storageClassName does not match';
  if ((volume.spec.volumeMode ?? 'Filesystem') !== (claim.spec.volumeMode ?? 'Filesystem'))
    return 'incompatible volumeMode';
  const modes = volume.spec.accessModes ?? [];
  if (!(claim.spec.accessModes ?? []).every((mode) => modes.includes(mode))) return 'incompatible accessMode';
  return undefined;
}

/** Makes the reference by which a volume says whose it is. */
export function referenceTo(claim: Claim): ClaimReference {
  const { namespace, name, uid, resourceVersion } = claim.metadata;
  return {
    kind: 'PersistentVolumeClaim',
    apiVersion: 'v1',
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}
