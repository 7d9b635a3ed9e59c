import { messageOf } from '../../base/coded-error.ts';
import { goQuote } from '../../base/go-quote.ts';
import { convertStruct } from '../decode/convert-value.ts';
import { Base64Error } from '../decode/base64.ts';
import { ConvertError } from '../decode/convert-error.ts';
import {
  notRegistered,
  unknownConversion,
  type Decoded,
  type FieldValidation,
} from '../decode/decode-object.ts';
import { invalidValue } from '../field-error.ts';
import { objectAt, stringAt } from '../json/json-object.ts';
import { isObject } from '../json/own-property.ts';
import type { KubeObject } from '../object.ts';
import { QuantityError } from '../quantity.ts';
import { convertCustom } from '../custom/convert-custom.ts';
import { formatApiVersion, parseApiVersion, structOfResource, type ResourceInfo } from '../resources.ts';
import { findKindStruct } from '../schema/schema.ts';
import { badRequest, invalid, plainError, requestEntityTooLarge, unprocessable } from '../status.ts';
import { printPatched } from './_print-patched.ts';
import { readPatch } from './_read-patch.ts';
import { applyJsonPatch } from './json-patch.ts';
import { applyMergePatch } from './merge-patch.ts';
import { PatchError } from './patch-error.ts';
import type { PatchMediaType } from './patch-media-type.ts';
import { applyStrategicMergePatch } from './strategic-merge-patch.ts';

export interface PatchOptions {
  readonly mediaType: PatchMediaType;
  readonly resource: ResourceInfo;
  readonly fieldValidation: FieldValidation;
}

/**
 * Applies a patch body to the stored object and decodes the outcome. Does not default, validate or store.
 *
 * @throws StatusError with the API's texts: 400 unreadable, 422 does not fit, 500 strategic directives that make no sense
 */
export function patchObject<T extends KubeObject>(
  current: T,
  body: Uint8Array,
  options: PatchOptions,
): Decoded<T> {
  const { patch, findings } = readPatch(body, options.mediaType);
  const patched = run(current, patch, options);
  return restore<T>(patched, patch, findings, options);
}

function run(current: KubeObject, patch: unknown, { mediaType, resource }: PatchOptions): unknown {
  try {
    switch (mediaType) {
      case 'application/json-patch+json':
        return applyJsonPatch(current, patch as unknown[]);
      case 'application/merge-patch+json':
        return applyMergePatch(current, patch);
      case 'application/strategic-merge-patch+json':
        return applyStrategicMergePatch(current, patch, resource);
    }
  } catch (error) {
    if (!(error instanceof PatchError)) throw error;
    switch (error.code) {
      case 'UNPROCESSABLE':
        throw unprocessable();
      case 'TOO_MANY_OPERATIONS':
        throw requestEntityTooLarge(error.message);
      case 'BAD_PATCH_FORMAT':
        throw badRequest(error.message, { cause: error });
      case 'BAD_STRATEGIC_PATCH':
        throw plainError(error.message, { cause: error });
    }
  }
}

function restore<T extends KubeObject>(
  patched: unknown,
  patch: unknown,
  inPatch: readonly string[],
  { mediaType, resource, fieldValidation }: PatchOptions,
): Decoded<T> {
  const strategic = mediaType === 'application/strategic-merge-patch+json';
  const misfit = (why: string): Error =>
    invalid({ group: '', kind: '' }, '', [
      invalidValue('patch', printPatched(patched, patch, mediaType), why),
    ]);
  const { custom } = resource;
  const struct = structOfResource(resource);
  if (struct === undefined) return { object: patched as T, warnings: [] };
  if (custom === undefined && !strategic) checkKind(patched, resource, misfit);
  const unknown: string[] = [];
  const inCustom: string[] = [];
  let object: Record<string, unknown>;
  try {
    if (custom === undefined) {
      object = convertStruct(patched, struct, { unknown }, strategic ? 'restore' : 'unmarshal');
    } else {
      const converted = convertCustom(isObject(patched) ? patched : {}, custom);
      object = { ...converted.object };
      inCustom.push(...converted.findings);
      checkCustomKind(object, resource);
    }
  } catch (error) {
    if (error instanceof ConvertError || error instanceof QuantityError || error instanceof Base64Error) {
      throw misfit(messageOf(error));
    }
    throw error;
  }
  const findings = [...inPatch, ...unknown.map((path) => `unknown field ${goQuote(path)}`), ...inCustom];
  if (findings.length > 0 && fieldValidation === 'Strict') {
    throw misfit(`strict decoding error: ${findings.join(', ')}`);
  }
  // What a strategic patch says of the kind has no effect; other patches were held to it above.
  const typed = { ...object, kind: resource.kind, apiVersion: resource.apiVersion };
  return { object: typed as unknown as T, warnings: fieldValidation === 'Warn' ? findings : [] };
}

/** A patch cannot make an object one of another kind; taking the kind away leaves it what it is. */
function checkKind(patched: unknown, resource: ResourceInfo, misfit: (why: string) => Error): void {
  const { kind, apiVersion } = isObject(patched) ? patched : {};
  const actual = {
    kind: typeof kind === 'string' && kind !== '' ? kind : resource.kind,
    ...(typeof apiVersion === 'string' && apiVersion !== '' ? parseApiVersion(apiVersion) : resource),
  };
  if (formatApiVersion(actual.group, actual.version) === resource.apiVersion && actual.kind === resource.kind)
    return;
  const { kind: given, group, version } = actual;
  const struct = findKindStruct(group, version, given);
  if (struct === undefined) throw misfit(notRegistered({ group, version, kind: given }));
  if (given === resource.kind && group === resource.group) return;
  throw misfit(unknownConversion(struct, resource));
}

function checkCustomKind(object: Record<string, unknown>, resource: ResourceInfo): void {
  const errors = (['apiVersion', 'kind'] as const)
    .filter((field) => object[field] !== resource[field])
    .map((field) => invalidValue(field, object[field] ?? '', `must be ${resource[field]}`));
  const name = stringAt(objectAt(object, 'metadata'), 'name');
  if (errors.length > 0) throw invalid(resource, name, errors);
}
