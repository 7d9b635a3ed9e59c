import { goQuote } from '../../base/go-quote.ts';
import { convertStruct } from '../decode/convert-value.ts';
import { isObject } from '../json/own-property.ts';
import type { KubeObject } from '../object.ts';
import { structOf } from '../schema/schema.ts';
import type { CustomKind } from './custom-kind.ts';
import { fillDefaults, prune } from './structural-schema.ts';

/**
 * Turns a parsed body into an object of a custom kind: metadata in its typed form, unknown fields dropped, defaults
 * filled in.
 *
 * @returns the object, and a text for each unknown field
 * @throws ConvertError when metadata is malformed
 */
export function convertCustom(
  value: Readonly<Record<string, unknown>>,
  custom: CustomKind,
): { object: KubeObject; findings: string[] } {
  const inMetadata: string[] = [];
  const metadata = convertStruct(
    isObject(value['metadata']) ? value['metadata'] : {},
    structOf('meta.v1.ObjectMeta'),
    { unknown: inMetadata },
  );
  const unknown = inMetadata.map((path) => `metadata.${path}`);
  const pruned = prune(value, custom.schema, unknown, '', true) as Record<string, unknown>;
  fillDefaults(pruned, custom.schema);
  const { apiVersion, kind, metadata: _raw, ...rest } = pruned;
  return {
    object: { apiVersion, kind, metadata, ...rest } as unknown as KubeObject,
    findings: unknown.map((path) => `unknown field ${goQuote(path)}`),
  };
}
