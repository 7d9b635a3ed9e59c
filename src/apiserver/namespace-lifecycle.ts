import type { KubeObject } from '../kube/object.ts';
import { forbidden, notFound, StatusError } from '../kube/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission-chain.ts';
import { coreResource } from './api-call.ts';
import type { ObjectStore } from './object-store.ts';

/** Namespaces that the system itself lives in; they are made at start and stay. */
export const SYSTEM_NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'] as const;
const IMMORTAL: ReadonlySet<string> = new Set(['default', 'kube-system', 'kube-public']);

/** Lets objects into existing namespaces only, none into one under deletion, and keeps the system's own. */
export function namespaceLifecycle(store: ObjectStore): AdmissionPlugin {
  const namespaces = coreResource('namespaces');
  return {
    name: 'NamespaceLifecycle',
    admit: (request) => {
      const isNamespace = request.resource.group === '' && request.resource.resource === 'namespaces';
      if (isNamespace) {
        if (request.operation === 'DELETE' && IMMORTAL.has(request.name)) {
          throw forbidden(namespaces, request.name, 'this namespace may not be deleted');
        }
        return;
      }
      if (!request.resource.namespaced || request.operation !== 'CREATE' || request.subresource !== '')
        return;
      const found = store.get({ resource: 'namespaces', namespace: '', name: request.namespace })?.object;
      if (found === undefined) throw notFound(namespaces, request.namespace);
      const { status } = found as KubeObject & { status?: { phase?: string } };
      if (status?.phase === 'Terminating' || found.metadata.deletionTimestamp !== undefined) {
        throw terminating(request);
      }
    },
  };
}

function terminating(request: AdmissionRequest): StatusError {
  const why = `unable to create new content in namespace ${request.namespace} because it is being terminated`;
  const { status } = forbidden(request.resource, request.name, why);
  return new StatusError({
    ...status,
    details: {
      ...status.details,
      causes: [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${request.namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    },
  });
}
