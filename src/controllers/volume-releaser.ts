import { formatTime } from '../kube/time.ts';
import { queueKey, splitKey, unless, type ControllerContext } from './controller-context.ts';
import { CLAIMS, VOLUMES } from './resource-types.ts';
import { PROVISIONED, PROVISIONER, type VolumeDirectories } from './volume-directories.ts';
import { BOUND_BY_CONTROLLER, type Claim, type Volume } from './volume-objects.ts';

/** Says of each volume whether it is free, bound or left behind, and removes the directories that were made for claims. */
export function startVolumeReleaser(
  context: ControllerContext,
  directories: VolumeDirectories | undefined,
): void {
  const claims = context.informer<Claim>(CLAIMS);
  const volumes = context.informer<Volume>(VOLUMES);

  const queue = context.queue('release volume', async (key, signal) => {
    const volume = volumes.get(undefined, splitKey(key).name);
    const ref = volume?.spec.claimRef;
    if (volume === undefined) return;
    // One that is kept for a claim to come is still free.
    if (ref === undefined || (ref.uid ?? '') === '') {
      await setPhase(volume, 'Available', signal);
      return;
    }
    const claim = claims.get(ref.namespace, ref.name ?? '');
    if (claim === undefined || claim.metadata.uid !== ref.uid) await release(volume, signal);
    else if (claim.spec.volumeName === volume.metadata.name) await setPhase(volume, 'Bound', signal);
    else if ((claim.spec.volumeName ?? '') !== '') await unbind(volume, signal);
  });

  async function release(volume: Volume, signal: AbortSignal): Promise<void> {
    const phase = volume.status?.phase;
    if (phase !== 'Released' && phase !== 'Failed') await setPhase(volume, 'Released', signal);
    const isOurs = volume.metadata.annotations?.[PROVISIONED] === PROVISIONER;
    if (volume.spec.persistentVolumeReclaimPolicy !== 'Delete' || !isOurs) return;
    const { name } = volume.metadata;
    await directories?.remove(name);
    if (volume.metadata.deletionTimestamp !== undefined) return;
    await unless(['NotFound'], context.client.delete(VOLUMES, { name }, signal));
  }

  /** Its claim has found another volume. One that was made for the claim has no use; one that was found is free again. */
  async function unbind(volume: Volume, signal: AbortSignal): Promise<void> {
    const { name, annotations } = volume.metadata;
    if (annotations?.[PROVISIONED] === PROVISIONER) await release(volume, signal);
    else if (annotations?.[BOUND_BY_CONTROLLER] !== undefined) {
      const patch = { metadata: { annotations: { [BOUND_BY_CONTROLLER]: null } }, spec: { claimRef: null } };
      await unless(['NotFound'], context.client.patch(VOLUMES, { name }, patch, 'merge', signal));
    }
  }

  async function setPhase(volume: Volume, phase: string, signal: AbortSignal): Promise<void> {
    if (volume.status?.phase === phase) return;
    const status = { phase, lastPhaseTransitionTime: formatTime(context.clock.now()) };
    await unless(
      ['NotFound'],
      context.client.patch(VOLUMES, { name: volume.metadata.name }, { status }, 'merge', signal, {
        subresource: 'status',
      }),
    );
  }

  volumes.onChange(({ object, type }) => {
    if (type !== 'deleted') queue.add(queueKey(object));
  });
  claims.onChange(({ object }) => {
    for (const volume of volumes.values()) {
      if (volume.spec.claimRef?.uid === object.metadata.uid) queue.add(queueKey(volume));
    }
  });
}
