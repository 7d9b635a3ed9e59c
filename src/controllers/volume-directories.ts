import { BOUND_BY_CONTROLLER, referenceTo, type Claim, type Volume } from './volume-objects.ts';

/** On a volume: who made it. */
export const PROVISIONED = 'pv.kubernetes.io/provisioned-by';
export const PROVISIONER = 'drayage.dev/directory';

/** Directories for claims, on the machine that all nodes share. */
export interface VolumeDirectories {
  /** Where they are; a node makes each when it is first mounted. */
  readonly path: string;
  /** Removes one with everything in it; one that is not there is no error. */
  remove(name: string): Promise<void>;
}

/** The volume that is a directory of its own for a claim. */
export function directoryVolume(claim: Claim, path: string, reclaimPolicy = 'Delete'): Volume {
  const name = `pvc-${claim.metadata.uid ?? ''}`;
  const { accessModes = ['ReadWriteOnce'], resources, storageClassName, volumeMode } = claim.spec;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name, annotations: { [BOUND_BY_CONTROLLER]: 'yes', [PROVISIONED]: PROVISIONER } },
    spec: {
      capacity: { storage: resources?.requests?.storage ?? '0' },
      accessModes,
      persistentVolumeReclaimPolicy: reclaimPolicy,
      ...(storageClassName === undefined ? {} : { storageClassName }),
      ...(volumeMode === undefined ? {} : { volumeMode }),
      hostPath: { path: `${path}/${name}`, type: 'DirectoryOrCreate' },
      claimRef: referenceTo(claim),
    },
  };
}
