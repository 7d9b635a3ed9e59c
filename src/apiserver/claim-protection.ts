import type { AdmissionPlugin } from './admission-chain.ts';

const PROTECTION = 'kubernetes.io/pvc-protection';

/** Marks new claims so that they outlive the Pods that use them, as StorageObjectInUseProtection does. */
export const claimProtection: AdmissionPlugin = {
  name: 'StorageObjectInUseProtection',
  admit: ({ operation, resource, subresource, object }) => {
    const isClaim = resource.group === '' && resource.resource === 'persistentvolumeclaims';
    if (!isClaim || operation !== 'CREATE' || subresource !== '' || object === undefined) return;
    const finalizers = object.metadata.finalizers ?? [];
    if (!finalizers.includes(PROTECTION)) object.metadata.finalizers = [...finalizers, PROTECTION];
  },
};
