import type { AdmissionPlugin } from './admission-chain.ts';

/** What keeps claims until no Pod uses them, and volumes until no claim does. */
const FINALIZERS = new Map([
  ['persistentvolumeclaims', 'kubernetes.io/pvc-protection'],
  ['persistentvolumes', 'kubernetes.io/pv-protection'],
]);

/** Marks new claims and volumes so that they outlive those that use them, as StorageObjectInUseProtection does. */
export const storageProtection: AdmissionPlugin = {
  name: 'StorageObjectInUseProtection',
  admit: ({ operation, resource, subresource, object }) => {
    const finalizer = resource.group === '' ? FINALIZERS.get(resource.resource) : undefined;
    if (finalizer === undefined || operation !== 'CREATE' || subresource !== '' || object === undefined)
      return;
    const finalizers = object.metadata.finalizers ?? [];
    if (!finalizers.includes(finalizer)) object.metadata.finalizers = [...finalizers, finalizer];
  },
};
