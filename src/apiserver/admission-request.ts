import type { KubeObject } from '../kube/object.ts';
import type { AdmissionRequest } from './admission-chain.ts';
import type { ApiCall } from './api-call.ts';
import type { DeleteRequestOptions, WriteOptions } from './request-options.ts';

/** Makes what admission is asked about a create, an update or a patch. */
export function admissionOfWrite(
  call: ApiCall,
  options: WriteOptions,
  operation: 'CREATE' | 'UPDATE',
  object: KubeObject,
  oldObject?: KubeObject,
): AdmissionRequest {
  const { verb, query } = call.request;
  const kind = verb === 'patch' ? 'PatchOptions' : operation === 'CREATE' ? 'CreateOptions' : 'UpdateOptions';
  const validation = query.get('fieldValidation');
  return {
    ...about(call, options.dryRun),
    operation,
    name: object.metadata.name ?? '',
    object,
    ...(oldObject === undefined ? {} : { oldObject }),
    options: {
      kind,
      apiVersion: 'meta.k8s.io/v1',
      ...(options.dryRun ? { dryRun: ['All'] } : {}),
      ...(verb === 'patch' && query.has('force') ? { force: options.force } : {}),
      ...(options.fieldManager === '' ? {} : { fieldManager: options.fieldManager }),
      ...(validation === null || validation === '' ? {} : { fieldValidation: validation }),
    },
  };
}

/** Makes what admission is asked about the deletion of one object, perhaps one of many. */
export function admissionOfDelete(
  call: ApiCall,
  options: DeleteRequestOptions,
  oldObject: KubeObject,
): AdmissionRequest {
  const { dryRun, gracePeriodSeconds, propagationPolicy, uid, resourceVersion } = options;
  const preconditions = {
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
  return {
    ...about(call, dryRun),
    operation: 'DELETE',
    subresource: '',
    namespace: oldObject.metadata.namespace ?? '',
    name: oldObject.metadata.name,
    oldObject,
    options: {
      kind: 'DeleteOptions',
      apiVersion: 'meta.k8s.io/v1',
      ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
      ...(Object.keys(preconditions).length === 0 ? {} : { preconditions }),
      ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
      ...(dryRun ? { dryRun: ['All'] } : {}),
    },
  };
}

/** Makes what admission is asked about something that is said to an object without changing it. */
export function admissionOfOther(
  call: ApiCall,
  operation: 'CREATE' | 'CONNECT',
  object: KubeObject,
  dryRun = false,
): AdmissionRequest {
  return {
    ...about(call, dryRun),
    operation,
    name: call.request.name,
    object,
    ...(operation === 'CREATE'
      ? {
          options: {
            kind: 'CreateOptions',
            apiVersion: 'meta.k8s.io/v1',
            ...(dryRun ? { dryRun: ['All'] } : {}),
          },
        }
      : {}),
  };
}

function about(
  call: ApiCall,
  dryRun: boolean,
): Pick<
  AdmissionRequest,
  'resource' | 'subresource' | 'namespace' | 'user' | 'dryRun' | 'warnings' | 'auditAnnotations'
> {
  return {
    resource: call.resource,
    subresource: call.request.subresource,
    namespace: call.request.namespace,
    user: call.user,
    dryRun,
    warnings: call.warnings,
    ...(call.auditAnnotations === undefined ? {} : { auditAnnotations: call.auditAnnotations }),
  };
}
