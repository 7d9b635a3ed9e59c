import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import { quantityValue } from '../kube/quantity.ts';
import { queueKey, splitKey, unless, type ControllerContext } from './controller-context.ts';
import { isFinished } from './pod-state.ts';
import { CLAIMS, PODS, VOLUMES } from './resource-types.ts';

interface Claim extends KubeObject {
  spec: {
    accessModes?: string[];
    resources?: { requests?: { storage?: string } };
    storageClassName?: string;
    volumeName?: string;
    volumeMode?: string;
  };
  status?: { phase?: string; accessModes?: string[]; capacity?: { storage?: string } };
}

interface Volume extends KubeObject {
  spec: {
    claimRef?: {
      kind?: string;
      apiVersion?: string;
      namespace?: string;
      name?: string;
      uid?: string;
      resourceVersion?: string;
    };
    persistentVolumeReclaimPolicy?: string;
    capacity?: { storage?: string };
    accessModes?: string[];
    storageClassName?: string;
    volumeMode?: string;
    hostPath?: { path: string; type?: string };
  };
  status?: { phase?: string };
}

const COMPONENT = 'persistentvolume-controller';
const PROTECTION = 'kubernetes.io/pvc-protection';
const PROVISIONED = 'pv.kubernetes.io/provisioned-by';
const PROVISIONER = 'drayage.dev/directory';

/** Directories for claims, on the machine that all nodes share. */
export interface VolumeDirectories {
  /** Where they are; a node makes each when it is first mounted. */
  readonly path: string;
  /** Removes one with everything in it; one that is not there is no error. */
  remove(name: string): Promise<void>;
}

/**
 * Binds claims to volumes that exist, else makes a directory for each, which goes with its claim; keeps a claim while a Pod uses it.
 *
 * @param directories absent: nothing is made
 */
export function startVolumeController(
  context: ControllerContext,
  directories: VolumeDirectories | undefined,
): void {
  const claims = context.informer<Claim>(CLAIMS);
  const volumes = context.informer<Volume>(VOLUMES);
  const pods = context.informer<Pod>(PODS);

  const queue = context.queue('bind claim', async (key, signal) => {
    const { namespace, name } = splitKey(key);
    const claim = claims.get(namespace, name);
    if (claim === undefined) return;
    if (claim.metadata.deletionTimestamp !== undefined) {
      await letGo(claim, signal);
      return;
    }
    if (claim.status?.phase === 'Bound') return;
    const volume = await findOrMake(claim, signal);
    if (volume === undefined) return;
    await bind(claim, volume, signal);
  });
  const volumeQueue = context.queue('release volume', async (key, signal) => {
    const volume = volumes.get(undefined, splitKey(key).name);
    const ref = volume?.spec.claimRef;
    if (volume === undefined) return;
    if (ref === undefined) {
      await setPhase(volume, 'Available', signal);
      return;
    }
    const claim = claims.get(ref.namespace, ref.name ?? '');
    if (claim?.metadata.uid === ref.uid && claim !== undefined) {
      await setPhase(volume, 'Bound', signal);
      return;
    }
    const isOurs = volume.metadata.annotations?.[PROVISIONED] === PROVISIONER;
    if (volume.spec.persistentVolumeReclaimPolicy === 'Delete' && isOurs) {
      await directories?.remove(volume.metadata.name);
      await unless(['NotFound'], context.client.delete(VOLUMES, { name: volume.metadata.name }, signal));
    } else await setPhase(volume, 'Released', signal);
  });

  async function findOrMake(claim: Claim, signal: AbortSignal): Promise<Volume | undefined> {
    const { uid, namespace, name } = claim.metadata;
    const mine = volumes.values().find((volume) => volume.spec.claimRef?.uid === uid);
    if (mine !== undefined) return mine;
    const named = claim.spec.volumeName ?? '';
    const free = volumes.values().filter((volume) => {
      const ref = volume.spec.claimRef;
      const isFree =
        ref === undefined || (ref.uid === undefined && ref.namespace === namespace && ref.name === name);
      return isFree && volume.metadata.deletionTimestamp === undefined && suits(volume, claim);
    });
    const found = named === '' ? free[0] : free.find((volume) => volume.metadata.name === named);
    if (found !== undefined) return found;
    if (named !== '') return undefined;
    if (directories === undefined || claim.spec.storageClassName === '') {
      context.events.record(COMPONENT, claim, {
        type: 'Normal',
        reason: 'FailedBinding',
        message: 'no persistent volumes available for this claim and no storage class is set',
      });
      return undefined;
    }
    const volumeName = `pvc-${uid ?? ''}`;
    const storage = claim.spec.resources?.requests?.storage ?? '0';
    const volume: Volume = {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: volumeName, annotations: { [PROVISIONED]: PROVISIONER } },
      spec: {
        capacity: { storage },
        accessModes: claim.spec.accessModes ?? ['ReadWriteOnce'],
        persistentVolumeReclaimPolicy: 'Delete',
        ...(claim.spec.storageClassName === undefined
          ? {}
          : { storageClassName: claim.spec.storageClassName }),
        hostPath: { path: `${directories.path}/${volumeName}`, type: 'DirectoryOrCreate' },
        claimRef: reference(claim),
      },
    };
    await unless(['AlreadyExists'], context.client.create(VOLUMES, volume, signal));
    context.events.record(COMPONENT, claim, {
      type: 'Normal',
      reason: 'ProvisioningSucceeded',
      message: `Successfully provisioned volume ${volumeName}`,
    });
    return volume;
  }

  async function bind(claim: Claim, volume: Volume, signal: AbortSignal): Promise<void> {
    const { name, namespace = '' } = claim.metadata;
    if (volume.spec.claimRef?.uid !== claim.metadata.uid) {
      const patch = { spec: { claimRef: reference(claim) } };
      await context.client.patch(VOLUMES, { name: volume.metadata.name }, patch, 'merge', signal);
    }
    if (claim.spec.volumeName !== volume.metadata.name) {
      const patch = { spec: { volumeName: volume.metadata.name } };
      await context.client.patch(CLAIMS, { namespace, name }, patch, 'merge', signal);
    }
    const { accessModes, capacity } = volume.spec;
    const status = { phase: 'Bound', accessModes, capacity };
    await context.client.patch(CLAIMS, { namespace, name }, { status }, 'merge', signal, {
      subresource: 'status',
    });
  }

  async function letGo(claim: Claim, signal: AbortSignal): Promise<void> {
    const { name, namespace = '', finalizers = [] } = claim.metadata;
    if (!finalizers.includes(PROTECTION)) return;
    const isUsed = pods
      .values()
      .some(
        (pod) =>
          pod.metadata.namespace === namespace &&
          !isFinished(pod) &&
          pod.spec.volumes?.some((volume) => volume.persistentVolumeClaim?.claimName === name),
      );
    if (isUsed) return;
    const left = finalizers.filter((finalizer) => finalizer !== PROTECTION);
    const patch = { metadata: { finalizers: left.length === 0 ? null : left } };
    await unless(['NotFound'], context.client.patch(CLAIMS, { namespace, name }, patch, 'merge', signal));
  }

  async function setPhase(volume: Volume, phase: string, signal: AbortSignal): Promise<void> {
    if (volume.status?.phase === phase) return;
    const patch = { status: { phase } };
    await unless(
      ['NotFound'],
      context.client.patch(VOLUMES, { name: volume.metadata.name }, patch, 'merge', signal, {
        subresource: 'status',
      }),
    );
  }

  claims.onChange(({ object, type }) => {
    if (type !== 'deleted') queue.add(queueKey(object));
    for (const volume of volumes.values()) {
      if (volume.spec.claimRef?.uid === object.metadata.uid) volumeQueue.add(queueKey(volume));
    }
  });
  volumes.onChange(({ object, type }) => {
    if (type !== 'deleted') volumeQueue.add(queueKey(object));
    for (const claim of claims.values()) if (claim.status?.phase !== 'Bound') queue.add(queueKey(claim));
  });
  pods.onChange(({ object, type }) => {
    if (type !== 'deleted' && !isFinished(object)) return;
    for (const volume of object.spec.volumes ?? []) {
      const name = volume.persistentVolumeClaim?.claimName;
      if (name !== undefined) queue.add(`${object.metadata.namespace ?? ''}/${name}`);
    }
  });
}

function suits(volume: Volume, claim: Claim): boolean {
  const modes = volume.spec.accessModes ?? [];
  if (!(claim.spec.accessModes ?? []).every((mode) => modes.includes(mode))) return false;
  if ((volume.spec.storageClassName ?? '') !== (claim.spec.storageClassName ?? '')) return false;
  const wanted = quantityValue(claim.spec.resources?.requests?.storage ?? '0');
  return quantityValue(volume.spec.capacity?.storage ?? '0') >= wanted;
}

function reference(claim: Claim): NonNullable<Volume['spec']['claimRef']> {
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
