import type { KubeObject } from '../../kube/object.ts';
import type { Pod } from '../../kube/pod.ts';
import { forbidden } from '../../kube/status.ts';
import type { AdmissionPlugin } from '../admission-chain.ts';
import type { ObjectStore } from '../object-store.ts';
import { podOf } from '../pod-defaults-admission.ts';
import { isDeepStrictEqual } from 'node:util';

const IS_DEFAULT = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];

/** Gives claims that name no class the default one, when there is one. */
export function defaultStorageClass(store: ObjectStore): AdmissionPlugin {
  return {
    name: 'DefaultStorageClass',
    admit: ({ operation, resource, subresource, object }) => {
      const isClaim = resource.group === '' && resource.resource === 'persistentvolumeclaims';
      if (!isClaim || operation !== 'CREATE' || subresource !== '' || object === undefined) return;
      const claim = object as KubeObject & { spec?: { storageClassName?: string } };
      const isNamed =
        claim.spec?.storageClassName !== undefined ||
        claim.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] !== undefined;
      if (isNamed || claim.spec === undefined) return;
      const defaults = store
        .list('storageclasses.storage.k8s.io')
        .items.map(({ object: each }) => each.metadata)
        .filter(({ annotations }) => IS_DEFAULT.some((key) => annotations?.[key] === 'true'))
        // The newest wins; of those made in the same second, the first by name.
        .toSorted((a, b) => {
          const [later, earlier] = [b.creationTimestamp ?? '', a.creationTimestamp ?? ''];
          if (later !== earlier) return later < earlier ? -1 : 1;
          return a.name < b.name ? -1 : 1;
        });
      const [chosen] = defaults;
      if (chosen !== undefined) claim.spec.storageClassName = chosen.name;
    },
  };
}

interface RuntimeClass extends KubeObject {
  readonly overhead?: { readonly podFixed?: Record<string, string> };
  readonly scheduling?: {
    readonly nodeSelector?: Record<string, string>;
    readonly tolerations?: Pod['spec']['tolerations'];
  };
}

type Spec = Pod['spec'] & { runtimeClassName?: string; overhead?: Record<string, string> };

/** Adds to Pods of a runtime class what the class costs and where it can run. */
export function runtimeClass(store: ObjectStore): AdmissionPlugin {
  const find = (spec: Spec): RuntimeClass | undefined => {
    const name = spec.runtimeClassName ?? '';
    if (name === '') return undefined;
    return store.get({ resource: 'runtimeclasses.node.k8s.io', namespace: '', name })?.object;
  };
  return {
    name: 'RuntimeClass',
    admit: (request) => {
      const pod = podOf(request);
      if (pod === undefined || request.operation !== 'CREATE') return;
      const spec = pod.spec as Spec;
      const refuse = (why: string): Error => forbidden(request.resource, request.name, why);
      const found = find(spec);
      if (found === undefined) {
        if ((spec.runtimeClassName ?? '') === '') return refuseOverhead(spec, refuse);
        throw refuse(`pod rejected: RuntimeClass "${spec.runtimeClassName ?? ''}" not found`);
      }
      const overhead = found.overhead?.podFixed;
      if (overhead !== undefined) {
        if (spec.overhead !== undefined && !isDeepStrictEqual(spec.overhead, overhead)) {
          throw refuse("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
        }
        spec.overhead = overhead;
      } else refuseOverhead(spec, refuse);
      const { nodeSelector = {}, tolerations = [] } = found.scheduling ?? {};
      for (const [key, value] of Object.entries(nodeSelector)) {
        const own = spec.nodeSelector?.[key];
        if (own !== undefined && own !== value) {
          throw refuse(
            `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${own}`,
          );
        }
      }
      if (Object.keys(nodeSelector).length > 0) spec.nodeSelector = { ...spec.nodeSelector, ...nodeSelector };
      const missing = tolerations.filter(
        (toleration) => !(spec.tolerations ?? []).some((own) => isDeepStrictEqual(own, toleration)),
      );
      if (missing.length > 0) spec.tolerations = [...(spec.tolerations ?? []), ...missing];
    },
  };
}

/** Only a class says what a Pod costs beyond its containers. */
function refuseOverhead(spec: Spec, refuse: (why: string) => Error): void {
  if (Object.keys(spec.overhead ?? {}).length === 0) return;
  throw refuse('pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead');
}
