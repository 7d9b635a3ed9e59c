import type { Pod } from '../kube/pod.ts';
import { claimIsNotOwn, usedClaims } from '../kube/pod-claims.ts';
import { refuse, type Node, type NodeJudge } from './scheduling-fit.ts';
import {
  findVolume,
  isDelayed,
  NO_PROVISIONER,
  reaches,
  type Claim,
  type StorageClass,
  type Volume,
} from './volume-objects.ts';

/* What the claims of a Pod say of where it may go, in the words of kube-scheduler. Pure: no clock, no network. */

/** What is known of storage while one Pod is placed. */
export interface Storage {
  claim(namespace: string, name: string): Claim | undefined;
  readonly volumes: readonly Volume[];
  storageClass(name: string): StorageClass | undefined;
  /** Pods by the name of their node. */
  readonly placed: ReadonlyMap<string, readonly Pod[]>;
}

const ZONE_LABELS = [
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
];
/** Between the zones of a volume that is in several. */
const ZONE_SEPARATOR = '__';

/** Says what keeps a Pod from every node because of its claims; `undefined` when nothing does. */
export function claimFault(pod: Pod, storage: Storage): string | undefined {
  const { namespace = '' } = pod.metadata;
  let isUnbound = false;
  for (const { name, isOwn } of usedClaims(pod)) {
    const claim = storage.claim(namespace, name);
    if (claim === undefined) {
      return isOwn
        ? `waiting for ephemeral volume controller to create the persistentvolumeclaim "${name}"`
        : `persistentvolumeclaim "${name}" not found`;
    }
    if (claim.status?.phase === 'Lost') {
      return `persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${claim.spec.volumeName ?? ''}"`;
    }
    if (claim.metadata.deletionTimestamp !== undefined) {
      return `persistentvolumeclaim "${name}" is being deleted`;
    }
    const stranger = isOwn ? claimIsNotOwn(pod, claim) : undefined;
    if (stranger !== undefined) return stranger;
    if (claim.status?.phase !== 'Bound' && !isDelayed(claim, classOf(claim, storage))) isUnbound = true;
  }
  return isUnbound ? 'pod has unbound immediate PersistentVolumeClaims' : undefined;
}

/** Reads once what the claims of a Pod mean; the results judge each node. */
export function volumeJudges(pod: Pod, storage: Storage): NodeJudge[] {
  const { namespace = '' } = pod.metadata;
  const claims = usedClaims(pod).flatMap(({ name }) => storage.claim(namespace, name) ?? []);
  if (claims.length === 0) return [];
  return [aloneJudge(pod, claims, storage), bindingJudge(claims, storage), zoneJudge(claims, storage)];
}

/** The claims of a Pod that are bound only once it has a node. */
export function delayedClaims(pod: Pod, storage: Storage): Claim[] {
  const { namespace = '' } = pod.metadata;
  return usedClaims(pod)
    .flatMap(({ name }) => storage.claim(namespace, name) ?? [])
    .filter((claim) => claim.status?.phase !== 'Bound' && isDelayed(claim, classOf(claim, storage)));
}

/** A claim for one Pod at a time is refused while another one has it. */
function aloneJudge(pod: Pod, claims: readonly Claim[], { placed }: Storage): NodeJudge {
  const alone = new Set(
    claims
      .filter(({ spec }) => spec.accessModes?.includes('ReadWriteOncePod') === true)
      .map(({ metadata }) => metadata.name),
  );
  const isTaken = [...placed.values()]
    .flat()
    .some(
      (other) =>
        other.metadata.namespace === pod.metadata.namespace &&
        other.metadata.uid !== pod.metadata.uid &&
        usedClaims(other).some(({ name }) => alone.has(name)),
    );
  const why = 'node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode';
  return () => (isTaken ? refuse(why, false) : undefined);
}

function bindingJudge(claims: readonly Claim[], storage: Storage): NodeJudge {
  return (node) => {
    for (const claim of claims) {
      if (claim.status?.phase !== 'Bound') continue;
      const volume = volumeOf(claim, storage);
      if (volume === undefined) {
        return refuse('node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)');
      }
      if (!reaches(volume, node)) return refuse("node(s) didn't match PersistentVolume's node affinity");
    }
    const isFull = claims.some(
      (claim) => claim.status?.phase !== 'Bound' && !canBeBound(claim, node, storage),
    );
    return isFull ? refuse("node(s) didn't find available persistent volumes to bind") : undefined;
  };
}

/** Tells whether a claim that waits for its node would get a volume there: one that is free, or one made for it. */
function canBeBound(claim: Claim, node: Node, storage: Storage): boolean {
  if (classOf(claim, storage)?.provisioner !== NO_PROVISIONER) return true;
  return findVolume(claim, storage.volumes, node) !== undefined;
}

function zoneJudge(claims: readonly Claim[], storage: Storage): NodeJudge {
  const wanted = claims.flatMap((claim) => {
    const labels = volumeOf(claim, storage)?.metadata.labels ?? {};
    return ZONE_LABELS.filter((key) => Object.hasOwn(labels, key)).map((key) => ({
      key,
      values: (labels[key] ?? '').split(ZONE_SEPARATOR),
    }));
  });
  return (node) => {
    const labels = node.metadata.labels ?? {};
    // A node that knows no zones is not refused for any.
    if (!ZONE_LABELS.some((key) => Object.hasOwn(labels, key))) return undefined;
    const isElsewhere = wanted.some(({ key, values }) => !values.includes(labels[key] ?? ''));
    return isElsewhere ? refuse('node(s) had no available volume zone') : undefined;
  };
}

function volumeOf(claim: Claim, { volumes }: Storage): Volume | undefined {
  return volumes.find(({ metadata }) => metadata.name === claim.spec.volumeName);
}

function classOf({ spec }: Claim, storage: Storage): StorageClass | undefined {
  const { storageClassName = '' } = spec;
  return storageClassName === '' ? undefined : storage.storageClass(storageClassName);
}
