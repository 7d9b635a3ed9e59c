import { scaleFields, fieldsBehindScale } from '../kube/apply/scale-fields.ts';
import type { ManagedFieldsEntry } from '../kube/apply/managed-fields.ts';
import { serverSideApply } from '../kube/apply/server-side-apply.ts';
import { invalidValue } from '../kube/field-error.ts';
import type { KubeObject } from '../kube/object.ts';
import { patchObject } from '../kube/patch/patch-object.ts';
import type { PatchMediaType } from '../kube/patch/patch-media-type.ts';
import type { ResourceInfo } from '../kube/resources.ts';
import { labelSelectorOf } from '../kube/selector/label-selector.ts';
import { conflict, invalid, notFound, unsupportedPatchType } from '../kube/status.ts';
import {
  fieldManager,
  fitToPath,
  keyOf,
  type Answer,
  type ApiCall,
  type ApiContext,
  type RequestBody,
} from './api-call.ts';
import { customScale, setAt } from './custom-scale.ts';
import { decodeBody } from './decode-body.ts';
import { writeOptions, type WriteOptions } from './request-options.ts';
import { changeObject } from './write-objects.ts';

interface Scalable extends KubeObject {
  spec: { replicas?: number; selector?: Record<string, unknown> };
  status?: { replicas?: number };
}

interface Scale extends KubeObject {
  spec?: { replicas?: number };
  status: { replicas: number; selector?: string };
}

const SCALE = { group: 'autoscaling', version: 'v1', kind: 'Scale' } as const;

/** Answers for the number of replicas of an object, whatever its kind. */
export async function answerScale(context: ApiContext, call: ApiCall): Promise<Answer> {
  const { resource, request } = call;
  if (request.verb === 'get') return { code: 200, value: scaleOf(getScaled(context, call), resource) };
  const body = await call.body();
  const isApply = request.verb === 'patch' && body.mediaType === 'application/apply-patch+yaml';
  const kind = request.verb === 'patch' ? 'PatchOptions' : 'UpdateOptions';
  const options = writeOptions(request.query, kind, isApply);
  const next = (current: KubeObject): Scale => {
    if (request.verb === 'update') return decodeBody<Scale>(body, SCALE, options.fieldValidation).object;
    return isApply
      ? appliedScale(context, call, current, body, options)
      : patchedScale(call, current, body, options);
  };
  const change = (current: KubeObject): KubeObject => {
    const scale = next(current);
    fitToPath(call, scale);
    return scaled(current, scale, resource, isApply);
  };
  const answer = await changeObject(context, call, options, (copy) => change(copy()), isApply);
  return { code: 200, value: scaleOf(answer.value as KubeObject, resource) };
}

/** Two kinds call a Scale that is not there by a name of its own. */
function getScaled(context: ApiContext, call: ApiCall): KubeObject {
  const { resource, request } = call;
  const found = context.store.get(keyOf(resource, request.namespace, request.name));
  if (found !== undefined) return found.object;
  const group = SCALE_GROUPS.get(resource.kind);
  if (group === undefined || resource.custom !== undefined) throw notFound(resource, request.name);
  throw notFound({ group, resource: `${resource.resource}/scale` }, request.name);
}

const SCALE_GROUPS: ReadonlyMap<string, string> = new Map([
  ['ReplicaSet', 'apps'],
  ['ReplicationController', 'autoscaling'],
]);

function patchedScale(
  { resource }: ApiCall,
  current: KubeObject,
  { bytes, mediaType }: RequestBody,
  { fieldValidation }: WriteOptions,
): Scale {
  if (!isPatchType(mediaType)) throw unsupportedPatchType();
  const options = { mediaType, resource: scaleResource(resource), fieldValidation };
  return patchObject(scaleOf(current, resource), bytes, options).object;
}

function isPatchType(mediaType: string): mediaType is PatchMediaType {
  return ['json', 'merge', 'strategic-merge'].some((type) => mediaType === `application/${type}-patch+json`);
}

/** Who owns the number of replicas owns the Scale, and the other way round. */
function appliedScale(
  context: ApiContext,
  call: ApiCall,
  current: KubeObject,
  { bytes }: RequestBody,
  { fieldManager: named, force, fieldValidation }: WriteOptions,
): Scale {
  const { resource } = call;
  const scale = scaleOf(current, resource);
  const managedFields = scaleFields(entriesOf(current), replicasPath(resource));
  if (managedFields.length > 0) scale.metadata = { ...scale.metadata, managedFields };
  const by = fieldManager(context, call, named);
  const options = { resource: scaleResource(resource), by, force, fieldValidation };
  const { object, warnings } = serverSideApply(scale, bytes, options);
  call.warnings.push(...warnings);
  return object;
}

/** Returns the object with the number of replicas that its Scale says. */
function scaled(current: KubeObject, scale: Scale, resource: ResourceInfo, isApply: boolean): KubeObject {
  const replicas = scale.spec?.replicas ?? 0;
  if (replicas < 0) {
    throw invalid(SCALE, current.metadata.name, [
      invalidValue('spec.replicas', replicas, 'must be greater than or equal to 0'),
    ]);
  }
  const { uid = '', resourceVersion } = scale.metadata;
  if (uid !== '' && uid !== current.metadata.uid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata.uid ?? ''}`;
    throw conflict({ ...resource, resource: `${resource.resource}/scale` }, current.metadata.name, why);
  }
  const managedFields = isApply
    ? fieldsBehindScale(entriesOf(current), entriesOf(scale), replicasPath(resource), current.apiVersion)
    : current.metadata.managedFields;
  const metadata = {
    ...current.metadata,
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(managedFields === undefined ? {} : { managedFields }),
  };
  const paths = resource.custom?.scale;
  if (paths !== undefined) {
    setAt(current, paths.specReplicasPath, replicas);
    return { ...current, metadata };
  }
  return { ...current, metadata, spec: { ...(current as Scalable).spec, replicas } } as KubeObject;
}

function scaleResource(resource: ResourceInfo): ResourceInfo {
  const { custom: _custom, ...plain } = resource;
  return { ...plain, ...SCALE, apiVersion: 'autoscaling/v1' };
}

function replicasPath({ custom }: ResourceInfo): string[] {
  const path = custom?.scale?.specReplicasPath ?? '.spec.replicas';
  return path
    .split('.')
    .slice(1)
    .map((name) => `f:${name}`);
}

function entriesOf({ metadata }: KubeObject): ManagedFieldsEntry[] {
  return (metadata.managedFields as ManagedFieldsEntry[] | undefined) ?? [];
}

function metadataOfScale(object: KubeObject): KubeObject['metadata'] {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
  };
}

function scaleOf(object: KubeObject, resource: ResourceInfo): Scale {
  const paths = resource.custom?.scale;
  if (paths !== undefined) return { ...customScale(object, paths), metadata: metadataOfScale(object) };
  const { spec, status } = object as Scalable;
  const isPlainMap = resource.kind === 'ReplicationController';
  const selector = isPlainMap
    ? { matchLabels: (spec.selector ?? {}) as Record<string, string> }
    : spec.selector;
  const text = selector === undefined ? '' : labelSelectorOf(selector).toString();
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: metadataOfScale(object),
    spec: spec.replicas === undefined ? {} : { replicas: spec.replicas },
    status: { replicas: status?.replicas ?? 0, ...(text === '' ? {} : { selector: text }) },
  };
}
