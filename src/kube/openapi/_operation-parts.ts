import { http } from '../../base/node-http.ts';
import type { ResourceInfo } from '../resources.ts';
import { findKindStruct } from '../schema/schema.ts';
import { customDefinitionName } from './_custom-definitions.ts';
import type { ApiOperation, ApiPath } from './_operations.ts';
import { definitionName, patchDefinition, reference, type Fragment } from './_schema-document.ts';

/* What the operations of both versions of OpenAPI say alike, but for where their schemas stand. */

export type OpenApiVersion = 'v2' | 'v3';

/** A path with its operations and the parameters of them all, by name. */
export function pathWith(
  path: ApiPath,
  operationItem: (operation: ApiOperation) => Fragment,
  parameters: readonly (Fragment & { name: string })[],
): Fragment {
  const sorted = parameters.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return {
    ...Object.fromEntries(path.operations.map((operation) => [operation.method, operationItem(operation)])),
    ...(sorted.length === 0 ? {} : { parameters: sorted }),
  };
}

/** The schema of what an operation answers. */
export function answerSchema(version: OpenApiVersion, operation: ApiOperation, info: ResourceInfo): Fragment {
  const { answer, kind } = operation;
  switch (answer) {
    case 'object':
      return objectSchema(version, kind, info);
    case 'list':
      return objectSchema(version, { ...kind, kind: `${kind.kind}List` }, info);
    case 'Status':
    case 'WatchEvent':
      return reference(definitionName(`meta.v1.${answer}`), version);
    case 'text':
      return { type: 'string' };
  }
}

/** The schema of what an operation takes; `undefined` where it takes nothing. */
export function bodySchema(
  version: OpenApiVersion,
  operation: ApiOperation,
  info: ResourceInfo,
): Fragment | undefined {
  if (operation.body === undefined) return undefined;
  switch (operation.body) {
    case 'Patch':
      return reference(patchDefinition, version);
    case 'DeleteOptions':
      return reference(definitionName('meta.v1.DeleteOptions'), version);
    case 'object':
      return objectSchema(version, operation.kind, info);
  }
}

/** A kind without fields of its own, such as the options of `exec`, is any text. */
function objectSchema(version: OpenApiVersion, kind: ApiOperation['kind'], info: ResourceInfo): Fragment {
  const isOwn = kind.kind === info.kind || kind.kind === `${info.kind}List`;
  if (info.custom !== undefined && kind.group === info.group && isOwn) {
    return reference(customDefinitionName(info, kind.kind), version);
  }
  const struct = findKindStruct(kind.group, kind.version, kind.kind);
  return struct === undefined ? { type: 'string' } : reference(definitionName(struct.name), version);
}

/** The answers by code, each with what it holds. */
export function responsesWith(codes: readonly number[], held: Fragment): Fragment {
  return {
    ...Object.fromEntries(
      codes.map((code) => [String(code), { description: http.STATUS_CODES[code] ?? '', ...held }]),
    ),
    '401': { description: 'Unauthorized' },
  };
}

/** Those of `media` that a kind's patches may have: clients look here to learn that a custom kind takes no strategic patch. */
export function patchMediaOf(info: ResourceInfo, media: readonly string[]): readonly string[] {
  if (info.custom === undefined) return media;
  return media.filter((type) => type !== 'application/strategic-merge-patch+json');
}
