import {
  applyLimitDefaults,
  claimLimitFaults,
  joinFaults,
  podLimitFaults,
  type Limit,
} from '../../admission/limit-range.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Pod } from '../../kube/pod.ts';
import { forbidden } from '../../kube/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission-chain.ts';
import type { ObjectStore } from '../object-store.ts';
import { StoredObjects } from './webhook-configuration.ts';

interface LimitRange extends KubeObject {
  readonly spec?: { readonly limits?: readonly Limit[] };
}

/** Gives containers the requests and limits of their namespace, and refuses what goes beyond its bounds. */
export function limitRanger(store: ObjectStore): AdmissionPlugin & { close(): void } {
  const ranges = new StoredObjects<readonly LimitRange[]>(store, ['limitranges'], (objects) => objects);
  const limitsIn = (namespace: string): readonly Limit[] =>
    ranges.value
      .filter(({ metadata }) => metadata.namespace === namespace)
      .flatMap(({ spec }) => spec?.limits ?? []);
  return {
    name: 'LimitRanger',
    close: () => ranges.close(),
    admit: (request) => {
      if (!isNewPod(request)) return;
      const limits = limitsIn(request.namespace);
      if (limits.length > 0) applyLimitDefaults(request.object as Pod, limits);
    },
    validate: (request) => {
      const faults = isNewPod(request)
        ? podLimitFaults(request.object as Pod, limitsIn(request.namespace))
        : isClaim(request)
          ? claimLimitFaults(storageOf(request.object), limitsIn(request.namespace))
          : [];
      if (faults.length > 0) throw forbidden(request.resource, request.name, joinFaults(faults));
    },
  };
}

/** Pods are bound when they are made: later the amounts hardly change. */
function isNewPod({ resource, subresource, operation }: AdmissionRequest): boolean {
  return (
    resource.group === '' && resource.resource === 'pods' && subresource === '' && operation === 'CREATE'
  );
}

function isClaim({ resource, subresource, operation }: AdmissionRequest): boolean {
  const isWrite = operation === 'CREATE' || operation === 'UPDATE';
  return (
    resource.group === '' && resource.resource === 'persistentvolumeclaims' && subresource === '' && isWrite
  );
}

function storageOf(claim: KubeObject | undefined): Readonly<Record<string, string>> {
  const { spec } = (claim ?? {}) as { spec?: { resources?: { requests?: Record<string, string> } } };
  return spec?.resources?.requests ?? {};
}
