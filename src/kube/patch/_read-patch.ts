import { goQuote } from '../../base/go-quote.ts';
import { isObject } from '../json/own-property.ts';
import { JsonError, parseJson } from '../json/parse-json.ts';
import { badRequest } from '../status.ts';
import { jsonKind } from '../decode/_go-types.ts';
import type { PatchMediaType } from './patch-media-type.ts';

export interface ReadPatch {
  readonly patch: unknown;
  /** What strict decoding finds in the patch itself. */
  readonly findings: readonly string[];
}

/**
 * Parses a patch body.
 *
 * @throws StatusError 400 with the API's texts
 */
export function readPatch(body: Uint8Array, mediaType: PatchMediaType): ReadPatch {
  const prefix = mediaType === 'application/strategic-merge-patch+json' ? '' : 'error decoding patch: ';
  const wantsList = mediaType === 'application/json-patch+json';
  const findings: string[] = [];
  const find = (text: string): void => void findings.push(wantsList ? `json patch ${text}` : text);
  let patch: unknown;
  try {
    patch = parseJson(Buffer.from(body).toString('utf8'), {
      onDuplicate: (path) => find(`duplicate field ${goQuote(path)}`),
    });
  } catch (error) {
    if (error instanceof JsonError) throw badRequest(`${prefix}${error.message}`, { cause: error });
    throw error;
  }
  const misfit = (value: unknown, into: string): Error =>
    badRequest(`${prefix}json: cannot unmarshal ${jsonKind(value)} into Go ${into}`);
  if (!wantsList) {
    if (!isObject(patch)) throw misfit(patch, 'value of type map[string]interface {}');
    return { patch, findings };
  }
  if (!Array.isArray(patch)) throw misfit(patch, 'value of type []handlers.jsonPatchOp');
  patch.forEach((entry: unknown, index) => {
    if (entry === null) return;
    if (!isObject(entry)) throw misfit(entry, 'value of type handlers.jsonPatchOp');
    for (const [key, value] of Object.entries(entry)) {
      if (key === 'value') continue;
      if (key !== 'op' && key !== 'path' && key !== 'from') find(`unknown field "[${index}].${key}"`);
      else if (typeof value !== 'string' && value !== null) {
        throw misfit(value, `struct field jsonPatchOp.${key} of type string`);
      }
    }
  });
  return { patch, findings };
}
