import type { Clock } from '../base/clock.ts';
import type { FieldManager } from '../kube/apply/managed-fields.ts';
import { managerOf, structOfObject } from '../kube/apply/managed-fields.ts';
import { convertAutoscaler } from '../kube/autoscaler-conversion.ts';
import type { DefaultOptions } from '../kube/default/set-defaults.ts';
import type { KubeObject } from '../kube/object.ts';
import { findResource, formatApiVersion, structOfResource, type ResourceInfo } from '../kube/resources.ts';
import { inFieldOrder, inKeyOrder, withOrderedMetadata } from '../kube/schema/field-order.ts';
import { badRequest, conflict, notFound } from '../kube/status.ts';
import { formatTime } from '../kube/time.ts';
import type { AdmissionChain } from './admission-chain.ts';
import type { ResourceRequest } from './api-request.ts';
import { convertEvent } from './event-conversion.ts';
import type { ObjectStore } from './object-store.ts';
import { StoreError, type ObjectKey, type Stored } from './stored-object.ts';
import type { UserInfo } from './user-info.ts';

/** What the verbs work with. */
export interface ApiContext {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly admission: AdmissionChain;
  readonly defaults: DefaultOptions;
}

export interface RequestBody {
  readonly bytes: Uint8Array;
  /** Media type in lower case, without parameters; `''` when the request named none. */
  readonly mediaType: string;
}

/** One authorized request for a resource. */
export interface ApiCall {
  readonly request: ResourceRequest;
  readonly resource: ResourceInfo;
  readonly user: UserInfo;
  readonly userAgent: string | undefined;
  readonly signal: AbortSignal;
  /** Reads the whole body, bounded; throws StatusError 413. */
  body(): Promise<RequestBody>;
  /** Texts for `Warning` headers. */
  readonly warnings: string[];
  /** What admission wants in the audit log, by key. */
  readonly auditAnnotations?: Map<string, string>;
}

/** What a verb answers: an object, a list or a Status. */
export interface Answer {
  readonly code: number;
  readonly value: object;
}

/** Names a resource in storage: `pods`, `deployments.apps`. */
export function storageName(resource: ResourceInfo): string {
  const group = resource.storedAs?.group ?? resource.group;
  return group === '' ? resource.resource : `${resource.resource}.${group}`;
}

export function keyOf(resource: ResourceInfo, namespace: string, name: string): ObjectKey {
  return { resource: storageName(resource), namespace: resource.namespaced ? namespace : '', name };
}

/** Returns a stored object in the form that the resource serves. */
export function asServed(resource: ResourceInfo, object: KubeObject): KubeObject {
  if (resource.custom !== undefined) return inVersion(object, resource.apiVersion);
  return resource.storedAs === undefined ? object : converted(object, resource.apiVersion);
}

/** Versions of a custom kind differ in nothing but their name. */
function inVersion(object: KubeObject, apiVersion: string): KubeObject {
  return object.apiVersion === apiVersion ? object : { ...object, apiVersion };
}

/** Returns an object in the form that is stored: fields in the order of the wire, with a place for the revision. */
export function asStored(resource: ResourceInfo, object: KubeObject): KubeObject {
  return asStoredInOrder(resource, inWireOrder(resource, object));
}

/** As {@link asStored}, of an object whose fields are in the order of the wire already. */
export function asStoredInOrder(resource: ResourceInfo, object: KubeObject): KubeObject {
  const { storedAs, custom } = resource;
  const { resourceVersion = '' } = object.metadata;
  const placed = { ...object, metadata: { ...object.metadata, resourceVersion } };
  // Nothing has had a link to itself since 1.20; what clients send of old is dropped.
  if ('selfLink' in placed.metadata) delete placed.metadata.selfLink;
  if (custom !== undefined) return inKeyOrder(inVersion(placed, custom.storedVersion));
  if (storedAs === undefined) return withOrderedMetadata(placed);
  return converted(placed, formatApiVersion(storedAs.group, storedAs.version));
}

/** Returns an object of a kind that is served in several forms in another of them. */
function converted(object: KubeObject, apiVersion: string): KubeObject {
  const form = convertAutoscaler(convertEvent(object, apiVersion), apiVersion);
  const struct = form === object ? undefined : structOfObject(form);
  return struct === undefined ? form : inFieldOrder(form, struct);
}

/** Returns an object with its fields in the order in which the API declares them. */
export function inWireOrder(resource: ResourceInfo, object: KubeObject): KubeObject {
  const struct = resource.custom === undefined ? structOfResource(resource) : undefined;
  return struct === undefined ? inKeyOrder(object) : inFieldOrder(object, struct);
}

/** @throws StatusError 404 */
export function mustGet(context: ApiContext, call: ApiCall): Stored {
  const { resource, request } = call;
  const found = context.store.get(keyOf(resource, request.namespace, request.name));
  if (found === undefined) throw notFound(resource, request.name);
  return found;
}

/** Finds a core resource that the server itself relies on. */
export function coreResource(name: string): ResourceInfo {
  const found = findResource('', 'v1', name);
  if (found === undefined) throw new Error(`Cannot serve: resource "${name}" is not declared`);
  return found;
}

/** Says who writes, for managedFields. */
export function fieldManager(context: ApiContext, call: ApiCall, named: string): FieldManager {
  const { subresource } = call.request;
  return {
    manager: named === '' ? managerOf(call.userAgent) : named,
    time: formatTime(context.clock.now()),
    ...(subresource === '' || subresource === 'finalize' ? {} : { subresource }),
  };
}

/** Sees to it that name and namespace of a body fit the path, and fills in the namespace. */
export function fitToPath(call: ApiCall, object: KubeObject): void {
  fitNamespace(call, object);
  if (call.request.name !== '') checkName(call.request.name, object);
}

/** Sees to it that a body is for the namespace of the path. */
export function fitNamespace(call: ApiCall, { metadata }: KubeObject): void {
  const { namespace } = call.request;
  if (!call.resource.namespaced) {
    delete metadata.namespace;
    return;
  }
  if (metadata.namespace === undefined || metadata.namespace === '') metadata.namespace = namespace;
  else if (metadata.namespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
}

function checkName(wanted: string, { metadata }: KubeObject): void {
  const given: string | undefined = metadata.name;
  if (given === wanted) return;
  throw badRequest(
    given === undefined || given === ''
      ? `the name of the object (${wanted} based on URL) was undeterminable: name must be provided`
      : `the name of the object (${given}) does not match the name on the URL (${wanted})`,
  );
}

/** Turns a failure of storage into the answer that the API gives; other failures pass. */
export function storageFailure(error: unknown, resource: ResourceInfo, name: string): unknown {
  if (!(error instanceof StoreError)) return error;
  switch (error.code) {
    case 'CONFLICT':
      return conflict(resource, name);
    case 'NOT_FOUND':
      return notFound(resource, name);
    case 'ALREADY_EXISTS':
    case 'EXPIRED':
    case 'NEWER_VERSION':
      return error;
    default:
      return error.code satisfies never;
  }
}
