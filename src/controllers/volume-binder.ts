import { isDeepStrictEqual } from 'node:util';
import type { Pod } from '../kube/pod.ts';
import { usedClaims } from '../kube/pod-claims.ts';
import { queueKey, splitKey, unless, type ControllerContext } from './controller-context.ts';
import { CLAIMS, NODES, PODS, STORAGE_CLASSES, VOLUMES } from './resource-types.ts';
import {
  BIND_COMPLETED,
  BOUND_BY_CONTROLLER,
  findVolume,
  isDelayed,
  misfitOf,
  NO_PROVISIONER,
  referenceTo,
  SELECTED_NODE,
  type Claim,
  type StorageClass,
  type Volume,
} from './volume-objects.ts';
import { directoryVolume, PROVISIONER, type VolumeDirectories } from './volume-directories.ts';

const COMPONENT = 'persistentvolume-controller';
/** Who makes the volume of a claim; the older form is still read. */
const PROVISIONER_MARKS = [
  'volume.beta.kubernetes.io/storage-provisioner',
  'volume.kubernetes.io/storage-provisioner',
];

/**
 * Binds claims to volumes that exist, else has a directory made for each; tells of claims whose volume is lost.
 *
 * @param directories absent: nothing is made
 */
export function startVolumeBinder(
  context: ControllerContext,
  directories: VolumeDirectories | undefined,
): void {
  const claims = context.informer<Claim>(CLAIMS);
  const volumes = context.informer<Volume>(VOLUMES);
  const classes = context.informer<StorageClass>(STORAGE_CLASSES);
  const nodes = context.informer(NODES);
  const pods = context.informer<Pod>(PODS);

  const queue = context.queue('bind claim', async (key, signal) => {
    const { namespace, name } = splitKey(key);
    const claim = claims.get(namespace, name);
    if (claim === undefined) return;
    if (claim.metadata.annotations?.[BIND_COMPLETED] !== undefined) await check(claim, signal);
    else if (claim.metadata.deletionTimestamp === undefined) await settle(claim, signal);
  });

  function tell(claim: Claim, type: 'Normal' | 'Warning', reason: string, message: string): void {
    context.events.record(COMPONENT, claim, { type, reason, message });
  }

  /** A claim that was bound stays with its volume; without that it is lost. */
  async function check(claim: Claim, signal: AbortSignal): Promise<void> {
    const { volumeName = '' } = claim.spec;
    const volume = volumeName === '' ? undefined : volumes.get(undefined, volumeName);
    const ref = volume?.spec.claimRef;
    if (volume !== undefined && (ref === undefined || ref.uid === claim.metadata.uid)) {
      await bind(claim, volume, signal);
      return;
    }
    if (claim.status?.phase === 'Lost') return;
    const [reason, message] =
      volumeName === ''
        ? ['ClaimLost', 'Bound claim has lost reference to PersistentVolume. Data on the volume is lost!']
        : volume === undefined
          ? ['ClaimLost', 'Bound claim has lost its PersistentVolume. Data on the volume is lost!']
          : ['ClaimMisbound', 'Two claims are bound to the same volume, this one is bound incorrectly'];
    await setStatus(claim, { phase: 'Lost' }, signal);
    tell(claim, 'Warning', reason, message);
  }

  async function settle(claim: Claim, signal: AbortSignal): Promise<void> {
    const { volumeName = '', storageClassName = '' } = claim.spec;
    if (volumeName !== '') {
      await settleNamed(claim, volumeName, signal);
      return;
    }
    const { annotations, uid } = claim.metadata;
    const mine = volumes.values().find((volume) => volume.spec.claimRef?.uid === uid);
    const storageClass = storageClassName === '' ? undefined : classes.get(undefined, storageClassName);
    const selected = annotations?.[SELECTED_NODE];
    if (mine === undefined && isDelayed(claim, storageClass) && selected === undefined) {
      tell(claim, 'Normal', ...waiting(claim));
      return;
    }
    const node = selected === undefined ? undefined : nodes.get(undefined, selected);
    const volume = mine ?? findVolume(claim, volumes.values(), node);
    if (volume !== undefined) await bind(claim, volume, signal);
    else await provision(claim, storageClass, signal);
  }

  /** A claim that names its volume has that or none. */
  async function settleNamed(claim: Claim, name: string, signal: AbortSignal): Promise<void> {
    const volume = volumes.get(undefined, name);
    const ref = volume?.spec.claimRef;
    if (volume === undefined) return;
    if (ref === undefined) {
      const misfit = misfitOf(volume, claim);
      if (misfit === undefined) await bind(claim, volume, signal);
      else tell(claim, 'Warning', 'VolumeMismatch', `Cannot bind to requested volume "${name}": ${misfit}`);
      return;
    }
    const isMine =
      ref.namespace === claim.metadata.namespace &&
      ref.name === claim.metadata.name &&
      ((ref.uid ?? '') === '' || ref.uid === claim.metadata.uid);
    if (isMine) await bind(claim, volume, signal);
    else tell(claim, 'Warning', 'FailedBinding', `volume "${name}" already bound to a different claim.`);
  }

  function waiting(claim: Claim): [reason: string, message: string] {
    const { namespace, name } = claim.metadata;
    const users = pods
      .values()
      .filter((pod) => pod.metadata.namespace === namespace && (pod.spec.nodeName ?? '') === '')
      .filter((pod) => usedClaims(pod).some((used) => used.name === name))
      .map(({ metadata }) => metadata.name);
    if (users.length === 0)
      return ['WaitForFirstConsumer', 'waiting for first consumer to be created before binding'];
    const who = `${users.length === 1 ? 'pod' : 'pods'} ${users.join(',')}`;
    return ['WaitForPodScheduled', `waiting for ${who} to be scheduled`];
  }

  async function provision(
    claim: Claim,
    storageClass: StorageClass | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const isByHand = storageClass?.provisioner === NO_PROVISIONER;
    if (directories === undefined || claim.spec.storageClassName === '' || isByHand) {
      if (isByHand) return;
      const message = 'no persistent volumes available for this claim and no storage class is set';
      tell(claim, 'Normal', 'FailedBinding', message);
      return;
    }
    const marked = await mark(claim, signal);
    const volume = directoryVolume(marked, directories.path, storageClass?.reclaimPolicy);
    await unless(['AlreadyExists'], context.client.create(VOLUMES, volume, signal));
    const message = `Successfully provisioned volume ${volume.metadata.name}`;
    tell(claim, 'Normal', 'ProvisioningSucceeded', message);
    await bind(marked, volume, signal);
  }

  /** Says on the claim who makes its volume. */
  async function mark(claim: Claim, signal: AbortSignal): Promise<Claim> {
    const annotations = Object.fromEntries(PROVISIONER_MARKS.map((name) => [name, PROVISIONER]));
    const { name, namespace = '' } = claim.metadata;
    if (PROVISIONER_MARKS.every((key) => claim.metadata.annotations?.[key] === PROVISIONER)) return claim;
    return context.client.patch<Claim>(
      CLAIMS,
      { namespace, name },
      { metadata: { annotations } },
      'merge',
      signal,
    );
  }

  /** Writes both sides of a binding, each step only where it is missing, so that any of them may be the last. */
  async function bind(claim: Claim, volume: Volume, signal: AbortSignal): Promise<void> {
    const { name, namespace = '', annotations } = claim.metadata;
    const ref = volume.spec.claimRef;
    if (ref?.uid !== claim.metadata.uid) {
      // A volume that was kept for this claim by hand is not marked as found.
      const isKept = ref?.namespace === claim.metadata.namespace && ref?.name === name;
      const patch = {
        metadata: {
          resourceVersion: volume.metadata.resourceVersion,
          ...(isKept ? {} : { annotations: { [BOUND_BY_CONTROLLER]: 'yes' } }),
        },
        spec: { claimRef: referenceTo(claim) },
      };
      await context.client.patch(VOLUMES, { name: volume.metadata.name }, patch, 'merge', signal);
    }
    const isNamed = claim.spec.volumeName === volume.metadata.name;
    if (!isNamed || annotations?.[BIND_COMPLETED] === undefined) {
      const marks = { ...(isNamed ? {} : { [BOUND_BY_CONTROLLER]: 'yes' }), [BIND_COMPLETED]: 'yes' };
      const spec = isNamed ? {} : { spec: { volumeName: volume.metadata.name } };
      const patch = { metadata: { annotations: marks }, ...spec };
      await context.client.patch(CLAIMS, { namespace, name }, patch, 'merge', signal);
    }
    const { accessModes = [], capacity = {} } = volume.spec;
    await setStatus(claim, { phase: 'Bound', accessModes, capacity }, signal);
  }

  async function setStatus(
    claim: Claim,
    status: NonNullable<Claim['status']>,
    signal: AbortSignal,
  ): Promise<void> {
    const { name, namespace = '' } = claim.metadata;
    if (isDeepStrictEqual({ ...claim.status, ...status }, claim.status)) return;
    await unless(
      ['NotFound'],
      context.client.patch(CLAIMS, { namespace, name }, { status }, 'merge', signal, {
        subresource: 'status',
      }),
    );
  }

  const isOpen = (claim: Claim): boolean => claim.status?.phase !== 'Bound';
  claims.onChange(({ object, type }) => {
    if (type !== 'deleted') queue.add(queueKey(object));
  });
  volumes.onChange(({ object }) => {
    for (const claim of claims.values()) {
      const isMeant = isOpen(claim) || claim.spec.volumeName === object.metadata.name;
      if (isMeant) queue.add(queueKey(claim));
    }
  });
  classes.onChange(() => {
    for (const claim of claims.values()) if (isOpen(claim)) queue.add(queueKey(claim));
  });
}
