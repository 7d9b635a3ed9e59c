import { messageOf } from '../../base/coded-error.ts';
import { goQuote } from '../../base/go-quote.ts';
import { convertStruct } from '../decode/convert-value.ts';
import { Base64Error } from '../decode/base64.ts';
import { ConvertError } from '../decode/convert-error.ts';
import type { Decoded, FieldValidation } from '../decode/decode-object.ts';
import { invalidValue } from '../field-error.ts';
import { stringAt } from '../json/json-object.ts';
import { isObject } from '../json/own-property.ts';
import { JsonError, parseJson } from '../json/parse-json.ts';
import type { KubeObject } from '../object.ts';
import { QuantityError } from '../quantity.ts';
import { convertCustom } from '../custom/convert-custom.ts';
import { structOfResource, type ResourceInfo } from '../resources.ts';
import { badRequest, invalid, plainError, requestEntityTooLarge, unprocessable } from '../status.ts';
import { goPrint } from './_go-print.ts';
import { applyJsonPatch } from './json-patch.ts';
import { applyMergePatch } from './merge-patch.ts';
import { PatchError } from './patch-error.ts';
import { applyStrategicMergePatch } from './strategic-merge-patch.ts';

export type PatchMediaType =
  | 'application/json-patch+json'
  | 'application/merge-patch+json'
  | 'application/strategic-merge-patch+json';

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
  const { patch, duplicates } = parsePatch(body, options.mediaType);
  const patched = run(current, patch, options);
  return restore<T>(patched, patch, duplicates, options);
}

function parsePatch(
  body: Uint8Array,
  mediaType: PatchMediaType,
): { patch: unknown; duplicates: readonly string[] } {
  const prefix = mediaType === 'application/strategic-merge-patch+json' ? '' : 'error decoding patch: ';
  const duplicates: string[] = [];
  let patch: unknown;
  try {
    patch = parseJson(Buffer.from(body).toString('utf8'), {
      onDuplicate: (path) => duplicates.push(`duplicate field ${goQuote(path)}`),
    });
  } catch (error) {
    if (error instanceof JsonError) throw badRequest(`${prefix}${error.message}`, { cause: error });
    throw error;
  }
  const wantsList = mediaType === 'application/json-patch+json';
  if (wantsList ? Array.isArray(patch) : isObject(patch)) return { patch, duplicates };
  const into = wantsList ? '[]handlers.jsonPatchOp' : 'map[string]interface {}';
  throw badRequest(`${prefix}json: cannot unmarshal ${jsonKind(patch)} into Go value of type ${into}`);
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
      case 'BAD_STRATEGIC_PATCH':
        throw plainError(error.message, { cause: error });
    }
  }
}

function restore<T extends KubeObject>(
  patched: unknown,
  patch: unknown,
  duplicates: readonly string[],
  { mediaType, resource, fieldValidation }: PatchOptions,
): Decoded<T> {
  const strategic = mediaType === 'application/strategic-merge-patch+json';
  const misfit = (why: string): Error =>
    invalid({ group: '', kind: '' }, '', [
      invalidValue('patch', strategic ? goPrint(patch) : JSON.stringify(sortTop(patched)), why),
    ]);
  const { custom } = resource;
  const struct = structOfResource(resource);
  if (struct === undefined) return { object: patched as T, warnings: [] };
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
    }
  } catch (error) {
    if (error instanceof ConvertError || error instanceof QuantityError || error instanceof Base64Error) {
      throw misfit(messageOf(error));
    }
    throw error;
  }
  const findings = [...duplicates, ...unknown.map((path) => `unknown field ${goQuote(path)}`), ...inCustom];
  if (findings.length > 0 && fieldValidation === 'Strict') {
    throw misfit(`strict decoding error: ${findings.join(', ')}`);
  }
  if (object['kind'] !== resource.kind || object['apiVersion'] !== resource.apiVersion) {
    throw badRequest(
      `${stringAt(object, 'kind')} in version ${goQuote(stringAt(object, 'apiVersion'))} cannot be handled as a ${resource.kind}: ` +
        'the kind of an object may not be patched',
    );
  }
  return { object: object as unknown as T, warnings: fieldValidation === 'Warn' ? findings : [] };
}

/** The API shows a patched object with its top keys sorted, as its patch library leaves them. */
function sortTop(value: unknown): unknown {
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

function jsonKind(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (value === null) return 'null';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}
