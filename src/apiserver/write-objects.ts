import { isDeepStrictEqual } from 'node:util';
import { serverSideApply } from '../kube/apply/server-side-apply.ts';
import { stampConditions, stampRequester } from '../kube/certificates/prepare-request.ts';
import type { Decoded } from '../kube/decode/decode-object.ts';
import { setDefaults } from '../kube/default/set-defaults.ts';
import { generateName, newUid } from '../kube/names.ts';
import type { JsonObject } from '../kube/json/json-object.ts';
import type { KubeObject } from '../kube/object.ts';
import type { PatchMediaType } from '../kube/patch/patch-media-type.ts';
import { patchObject } from '../kube/patch/patch-object.ts';
import {
  alreadyExists,
  invalid,
  noNameFound,
  notFound,
  plainError,
  unsupportedPatchType,
} from '../kube/status.ts';
import { completeForCreate, finishUpdate, prepareForCreate, prepareForUpdate } from '../kube/strategy.ts';
import type { ResourceInfo } from '../kube/resources.ts';
import { formatTime } from '../kube/time.ts';
import { validateCreate, validateUpdate, warningsOf } from '../kube/validate/validate-object.ts';
import { decodeBody } from './decode-body.ts';
import { admissionOfWrite } from './admission-request.ts';
import {
  asServed,
  asStoredInOrder,
  fieldManager,
  fitNamespace,
  fitToPath,
  inWireOrder,
  keyOf,
  mustGet,
  storageFailure,
  type Answer,
  type ApiCall,
  type ApiContext,
} from './api-call.ts';
import { isReadyToGo } from './delete-objects.ts';
import { checkMayCreate, isMadeByUpdate, type MakingContext } from './made-by-update.ts';
import { copyOf } from './object-text.ts';
import { isSame, ownFields } from './own-fields.ts';
import { StoreError, type Stored } from './stored-object.ts';
import { writeOptions, type WriteOptions } from './request-options.ts';
import { checkNoUid, checkRevision, checkUid, wipeServerMetadata } from './write-preconditions.ts';

/** Times a write that named no resourceVersion is tried again when another came between. */
const CONFLICT_TRIES = 8;
/** Times a generated name is drawn again when it is taken: the alphabet gives 14 million. */
const NAME_TRIES = 8;

/** Answers `create`. */
export async function createObject(context: ApiContext, call: ApiCall): Promise<Answer> {
  const options = writeOptions(call.request.query, 'CreateOptions');
  const body = await call.body();
  const decoded = decodeBody<KubeObject>(body, call.resource, options.fieldValidation);
  call.warnings.push(...decoded.warnings);
  wipeServerMetadata(decoded.object);
  fitNamespace(call, decoded.object);
  call.warnings.push(...withoutDoubledOwners(decoded.object));
  return insertObject(context, call, decoded.object, options);
}

/** Defaults, admits, checks and stores a new object. `managedFields` of an apply stay as they are. */
async function insertObject(
  context: ApiContext,
  call: ApiCall,
  object: KubeObject,
  options: WriteOptions,
  applied = false,
): Promise<Answer> {
  const { resource, request } = call;
  setDefaults(object, context.defaults);
  // The author owns what they sent and its defaults, not what admission and the server add.
  completeForCreate(object, resource);
  if (!applied) ownFields(context, call, options, object);
  const admission = admissionOfWrite(call, options, 'CREATE', object);
  await context.admission.admit(admission, call.signal);
  const given = (admission.object ?? object).metadata.resourceVersion;
  const admitted = preparedForCreate(context, call, admission.object ?? object);
  const { metadata } = admitted;
  const base = metadata.generateName;
  const isGenerated = (metadata.name ?? '') === '' && base !== undefined && base !== '';
  for (let attempt = 1; ; attempt++) {
    if (isGenerated) metadata.name = generateName(base);
    if (attempt === 1) {
      const errors = validateCreate(admitted, resource);
      if (errors.length > 0) throw invalid(resource, metadata.name ?? '', errors);
      call.warnings.push(...warningsOf(admitted, resource));
      await context.admission.validate({ ...admission, object: admitted, name: metadata.name }, call.signal);
      if (given !== undefined && /^\d*[1-9]\d*$/.test(given)) {
        throw plainError('resourceVersion should not be set on objects to be created');
      }
    }
    const key = keyOf(resource, request.namespace, metadata.name);
    try {
      if (options.dryRun) {
        if (context.store.get(key) !== undefined) throw alreadyExists(resource, metadata.name);
        return { code: 201, value: admitted };
      }
      const stored = context.store.create(key, asStoredInOrder(resource, admitted));
      return { code: 201, value: asServed(resource, stored.object) };
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'ALREADY_EXISTS')) throw error;
      if (!isGenerated) throw alreadyExists(resource, metadata.name);
      if (attempt === NAME_TRIES) throw noNameFound(resource, metadata.name);
    }
  }
}

/** Fills in what the server says of a new object, in the order in which texts and answers show it. */
function preparedForCreate(context: ApiContext, call: ApiCall, object: KubeObject): KubeObject {
  const { resource } = call;
  const { metadata } = object;
  for (const field of ['deletionTimestamp', 'deletionGracePeriodSeconds', 'resourceVersion'] as const) {
    delete metadata[field];
  }
  // Before the kind's own preparation: a Job puts its uid into its labels.
  metadata.uid = newUid();
  metadata.creationTimestamp = formatTime(context.clock.now());
  prepareForCreate(object, resource);
  if (isCertificateRequest(resource)) stampRequester(object as unknown as JsonObject, call.user);
  return inWireOrder(resource, object);
}

/** Answers `update`, of the object or of one of its subresources. */
export async function updateObject(context: MakingContext, call: ApiCall): Promise<Answer> {
  const options = writeOptions(call.request.query, 'UpdateOptions');
  const body = await call.body();
  const decoded = decodeBody<KubeObject>(body, call.resource, options.fieldValidation);
  call.warnings.push(...decoded.warnings);
  fitToPath(call, decoded.object);
  call.warnings.push(...withoutDoubledOwners(decoded.object));
  checkUid(context, call, decoded.object.metadata.uid);
  const { resource, request } = call;
  const key = keyOf(resource, request.namespace, request.name);
  if (isMadeByUpdate(call) && context.store.get(key) === undefined) {
    checkMayCreate(context, call);
    wipeServerMetadata(decoded.object);
    delete decoded.object.metadata.resourceVersion;
    return insertObject(context, call, decoded.object, options);
  }
  return changeObject(context, call, options, () => structuredClone(decoded.object));
}

/** Answers `patch`; an apply of an object that does not exist creates it. */
export async function patchStored(context: MakingContext, call: ApiCall): Promise<Answer> {
  const body = await call.body();
  const { resource } = call;
  const type = patchMediaType(body.mediaType);
  // What makes a patch strategic is not in the schemas of custom kinds.
  if (resource.custom !== undefined && type === 'application/strategic-merge-patch+json') {
    throw unsupportedPatchType();
  }
  const apply = type === 'application/apply-patch+yaml';
  const options = writeOptions(call.request.query, 'PatchOptions', apply);
  let warnings: readonly string[] = [];
  const keep = (decoded: Decoded): KubeObject => {
    ({ warnings } = decoded);
    return decoded.object;
  };
  if (!apply) {
    const patch = { mediaType: type, resource, fieldValidation: options.fieldValidation };
    const answer = await changeObject(context, call, options, (copy) => {
      const patched = keep(patchObject(copy(), body.bytes, patch));
      fitToPath(call, patched);
      return patched;
    });
    call.warnings.push(...warnings);
    return answer;
  }
  const applyTo = (current: KubeObject | undefined): KubeObject => {
    const by = fieldManager(context, call, options.fieldManager);
    const { force, fieldValidation } = options;
    const applied = keep(serverSideApply(current, body.bytes, { resource, by, force, fieldValidation }));
    fitToPath(call, applied);
    return applied;
  };
  const key = keyOf(resource, call.request.namespace, call.request.name);
  let answer: Answer;
  if (context.store.get(key) !== undefined)
    answer = await changeObject(context, call, options, (copy) => applyTo(copy()), true);
  else if (call.request.subresource !== '') throw notFound(resource, call.request.name);
  else {
    const object = applyTo(undefined);
    checkMayCreate(context, call);
    checkNoUid(call, object.metadata.uid);
    wipeServerMetadata(object);
    answer = await insertObject(context, call, object, options, true);
  }
  call.warnings.push(...warnings);
  return answer;
}

function patchMediaType(mediaType: string): PatchMediaType | 'application/apply-patch+yaml' {
  switch (mediaType) {
    case 'application/json-patch+json':
    case 'application/merge-patch+json':
    case 'application/strategic-merge-patch+json':
    case 'application/apply-patch+yaml':
      return mediaType;
    default:
      throw unsupportedPatchType();
  }
}

/**
 * Reads, changes, checks and writes back an object. When another write comes between, it starts again,
 * unless the change itself says which resourceVersion it is for.
 *
 * @param change makes the new object; may ask for a copy of the stored one, which an update does without
 */
export async function changeObject(
  context: ApiContext,
  call: ApiCall,
  options: WriteOptions,
  change: (copy: () => KubeObject) => KubeObject,
  applied = false,
): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    const stored = mustGet(context, call);
    const old = asServed(call.resource, stored.object);
    const object = change(() => copyOf(old));
    checkRevision(call, object.metadata.resourceVersion ?? '', stored.revision);
    try {
      return await replaceObject(context, call, options, stored, old, object, applied);
    } catch (error) {
      const lost = error instanceof StoreError && error.code === 'CONFLICT';
      if (!lost || attempt === CONFLICT_TRIES) throw storageFailure(error, call.resource, call.request.name);
    }
  }
}

async function replaceObject(
  context: ApiContext,
  call: ApiCall,
  options: WriteOptions,
  stored: Stored,
  old: KubeObject,
  object: KubeObject,
  applied: boolean,
): Promise<Answer> {
  const { resource, request } = call;
  const subresource = request.subresource === '' ? undefined : request.subresource;
  setDefaults(object, context.defaults);
  prepareForUpdate(object, old, resource, subresource);
  if (!applied) ownFields(context, call, options, object, { old });
  const admission = admissionOfWrite(call, options, 'UPDATE', object, old);
  await context.admission.admit(admission, call.signal);
  const unordered = admission.object ?? object;
  // Admission may have written where this request may not.
  prepareForUpdate(unordered, old, resource, subresource);
  finishUpdate(unordered, old, resource);
  if (isCertificateRequest(resource)) {
    const now = formatTime(context.clock.now());
    stampConditions(unordered as unknown as JsonObject, old as unknown as JsonObject, now);
  }
  const admitted = inWireOrder(resource, unordered);
  const errors = validateUpdate(admitted, old, resource, subresource);
  if (errors.length > 0) throw invalid(resource, request.name, errors);
  const warnings = warningsOf(admitted, resource, old);
  await context.admission.validate({ ...admission, object: admitted }, call.signal);
  call.warnings.push(...warnings);
  admitted.metadata.resourceVersion = String(stored.revision);
  if (isSame(old, admitted)) return { code: 200, value: old };
  if (options.dryRun) return { code: 200, value: admitted };
  const { key } = stored;
  const next = asStoredInOrder(resource, admitted);
  // An object under deletion goes for good with the write that takes away its last finalizer.
  const written = isReadyToGo(admitted)
    ? context.store.delete(key, stored.revision, next)
    : context.store.update(key, stored.revision, next);
  return { code: 200, value: asServed(resource, written.object) };
}

function isCertificateRequest({ kind, custom }: ResourceInfo): boolean {
  return kind === 'CertificateSigningRequest' && custom === undefined;
}

/** Takes out owners that are named twice; returns a warning when there were such. */
function withoutDoubledOwners({ metadata }: KubeObject): string[] {
  const owners = metadata.ownerReferences ?? [];
  const single = owners.filter(
    (owner, index) => !owners.slice(0, index).some((other) => isDeepStrictEqual(owner, other)),
  );
  if (single.length === owners.length) return [];
  const doubled = owners.filter((owner, index) =>
    owners.slice(0, index).some((other) => isDeepStrictEqual(owner, other)),
  );
  metadata.ownerReferences = single;
  return [
    '.metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject ' +
      'such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: ' +
      doubled.map((owner) => owner.uid).join(', '),
  ];
}
