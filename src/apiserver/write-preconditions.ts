import { goQuote } from '../base/go-quote.ts';
import { invalidValue } from '../kube/field-error.ts';
import type { KubeObject } from '../kube/object.ts';
import type { ResourceInfo } from '../kube/resources.ts';
import { conflict, invalid, plainError } from '../kube/status.ts';
import { keyOf, type ApiCall, type ApiContext } from './api-call.ts';

/** Kinds whose updates must say which state they go by. All kinds of definitions are such too. */
const CONDITIONAL: ReadonlySet<string> = new Set([
  'APIService',
  'Lease',
  'PodDisruptionBudget',
  'RuntimeClass',
  'CustomResourceDefinition',
  'MutatingWebhookConfiguration',
  'ValidatingWebhookConfiguration',
  'ValidatingAdmissionPolicy',
  'ValidatingAdmissionPolicyBinding',
  'MutatingAdmissionPolicy',
  'MutatingAdmissionPolicyBinding',
]);

/** Directories of upstream's storage that are not called as the resource is; its texts name them. */
const DIRECTORIES: ReadonlyMap<string, string> = new Map([
  ['nodes', 'minions'],
  ['services', 'services/specs'],
  ['endpoints', 'services/endpoints'],
  ['replicationcontrollers', 'controllers'],
]);

/** Takes from a new object what only the server says. */
export function wipeServerMetadata({ metadata }: KubeObject): void {
  const fields = metadata as { -readonly [Key in keyof KubeObject['metadata']]?: unknown } & {
    selfLink?: unknown;
  };
  delete fields.uid;
  delete fields.creationTimestamp;
  delete fields.deletionTimestamp;
  delete fields.deletionGracePeriodSeconds;
  delete fields.selfLink;
}

/**
 * Checks the resourceVersion of an update against the stored one.
 *
 * @throws StatusError 409 when another write came between, 422 when there is none where there must be, 500 for no number
 */
export function checkRevision(call: ApiCall, wanted: string, stored: number): void {
  const { resource, request } = call;
  if (wanted !== '' && !/^\d+$/.test(wanted)) {
    throw plainError(`strconv.ParseUint: parsing ${goQuote(wanted)}: invalid syntax`);
  }
  if (/^0*$/.test(wanted)) {
    if (!isConditional(resource)) return;
    // Upstream words this refusal with the resource where others have the kind.
    const kind = { group: resource.group, kind: resource.resource };
    throw invalid(kind, request.name, [
      invalidValue('metadata.resourceVersion', 0, 'must be specified for an update'),
    ]);
  }
  if (wanted !== String(stored)) throw conflict(resource, request.name);
}

function isConditional(resource: ResourceInfo): boolean {
  return resource.custom !== undefined || CONDITIONAL.has(resource.kind);
}

/** Checks that an update with a uid is for the object of that uid, be it that there is none. */
export function checkUid(context: ApiContext, call: ApiCall, uid: string | undefined): void {
  if (uid === undefined || uid === '') return;
  const { resource, request } = call;
  const stored = context.store.get(keyOf(resource, request.namespace, request.name));
  const actual = stored?.object.metadata.uid ?? '';
  if (actual === uid) return;
  throw conflict(
    resource,
    request.name,
    `StorageError: invalid object, Code: 4, Key: ${storagePath(call)}, ResourceVersion: 0, ` +
      `AdditionalErrorMsg: Precondition failed: UID in precondition: ${uid}, UID in object meta: ${actual}`,
  );
}

/** Checks that an apply that creates does not mean an object that was there. */
export function checkNoUid({ resource, request }: ApiCall, uid: string | undefined): void {
  if (uid === undefined || uid === '') return;
  const why = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`;
  throw conflict(resource, request.name, why);
}

function storagePath({ resource, request }: ApiCall): string {
  const ownGroup = resource.custom !== undefined || resource.kind === 'CustomResourceDefinition';
  const directory = DIRECTORIES.get(resource.resource) ?? resource.resource;
  const parts = ['/registry', ownGroup ? `${resource.group}/${directory}` : directory];
  if (resource.namespaced) parts.push(request.namespace);
  return [...parts, request.name].join('/');
}
