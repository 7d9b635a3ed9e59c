import { createHash } from 'node:crypto';

import { resources, type ResourceInfo } from '../resources.ts';
import { findKindStruct } from '../schema/schema.ts';
import { groupTag, parameterTypes, pathsOf, type ApiOperation, type ApiPath } from './_operations.ts';
import {
  definitionName,
  definitions,
  patchDefinition,
  reference,
  type Fragment,
} from './_schema-document.ts';
import { customDefinitionName, customDefinitions } from './_custom-definitions.ts';
import { servedStructs } from './_served-structs.ts';

/** Version that documents carry, as a 1.36 server's do. */
const VERSION = '1.36';

const MEDIA = ['application/json', 'application/yaml'];
const PATCH_MEDIA = [
  'application/apply-patch+yaml',
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
];

/** Hashes of documents that were made, by what was served then; the documents themselves are not kept. */
const hashes = new WeakMap<readonly ResourceInfo[], Map<string, string>>();

/** Body of `GET /openapi/v3`: a URL with a hash for each group and version. Makes each document once to hash it. */
export function openApiV3Index(all: readonly ResourceInfo[] = resources): object {
  const paths: Fragment = {};
  for (const path of groupPaths(all)) {
    paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${openApiV3Hash(path, all) ?? ''}` };
  }
  return { paths };
}

/** Body of `GET /openapi/v3/<path>`, path such as `api/v1`, `apis/apps/v1`; `undefined` when not served. Made anew each time. */
export function openApiV3(path: string, all: readonly ResourceInfo[] = resources): Uint8Array | undefined {
  const served = all.filter((info) => groupPath(info) === path);
  if (served.length === 0) return undefined;
  return Buffer.from(JSON.stringify(documentOf(served)));
}

/** The hash in the URL of a document, to be its ETag; `undefined` when the document is not served. */
export function openApiV3Hash(path: string, all: readonly ResourceInfo[] = resources): string | undefined {
  let made = hashes.get(all);
  if (made === undefined) hashes.set(all, (made = new Map()));
  const known = made.get(path);
  if (known !== undefined) return known;
  const body = openApiV3(path, all);
  if (body === undefined) return undefined;
  const hash = createHash('sha512').update(body).digest('hex').toUpperCase();
  made.set(path, hash);
  return hash;
}

function groupPaths(all: readonly ResourceInfo[]): string[] {
  return [...new Set(all.map(groupPath))].toSorted();
}

function groupPath(info: ResourceInfo): string {
  return info.group === '' ? `api/${info.version}` : `apis/${info.group}/${info.version}`;
}

function documentOf(served: readonly ResourceInfo[]): Fragment {
  const paths = served.flatMap((info) =>
    pathsOf(info).map((path) => [path.path, pathItem(path, info)] as const),
  );
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: VERSION },
    paths: Object.fromEntries(paths.toSorted(([a], [b]) => (a < b ? -1 : 1))),
    components: {
      schemas: { ...definitions(servedStructs(served), 'v3'), ...customDefinitions(served, 'v3') },
      securitySchemes: {
        BearerToken: {
          type: 'apiKey',
          description: 'A token in the Authorization header, after the word Bearer.',
          name: 'authorization',
          in: 'header',
        },
      },
    },
  };
}

function pathItem(path: ApiPath, info: ResourceInfo): Fragment {
  const parameters = [
    ...path.pathParameters.map((name) => ({
      name,
      in: 'path',
      description: name === 'namespace' ? 'Namespace of the object.' : `Name of the ${info.kind}.`,
      required: true,
      schema: { type: 'string', uniqueItems: true },
    })),
    query('pretty'),
  ];
  return {
    ...Object.fromEntries(
      path.operations.map((operation) => [operation.method, operationItem(operation, info)]),
    ),
    parameters,
  };
}

function operationItem(operation: ApiOperation, info: ResourceInfo): Fragment {
  const object = objectReference(operation.kind, info);
  const answer =
    operation.answer === 'Status'
      ? reference('io.k8s.apimachinery.pkg.apis.meta.v1.Status', 'v3')
      : operation.answer === 'list'
        ? objectReference({ ...operation.kind, kind: `${operation.kind.kind}List` }, info)
        : object;
  const content = (media: readonly string[], schema: Fragment): Fragment =>
    Object.fromEntries(media.map((type) => [type, { schema }]));
  return {
    tags: [groupTag(info.group, info.version)],
    operationId: operation.id,
    ...(operation.parameters.length === 0 ? {} : { parameters: operation.parameters.map(query) }),
    ...(operation.body === undefined
      ? {}
      : {
          requestBody: {
            content:
              operation.body === 'Patch'
                ? content(patchMedia(info), reference(patchDefinition, 'v3'))
                : content(
                    ['*/*'],
                    operation.body === 'DeleteOptions'
                      ? reference('io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions', 'v3')
                      : object,
                  ),
            ...(operation.body === 'DeleteOptions' ? {} : { required: true }),
          },
        }),
    responses: {
      ...Object.fromEntries(
        operation.codes.map((code) => [
          String(code),
          { description: 'Done.', content: content(MEDIA, answer) },
        ]),
      ),
      '401': { description: 'Unauthorized' },
    },
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': operation.kind,
  };
}

/** Clients look here to learn that a custom kind takes no strategic patch. */
function patchMedia(info: ResourceInfo): readonly string[] {
  if (info.custom === undefined) return PATCH_MEDIA;
  return PATCH_MEDIA.filter((type) => type !== 'application/strategic-merge-patch+json');
}

/** A kind without fields of its own, such as the options of `exec`, is any text. */
function objectReference(kind: ApiOperation['kind'], info: ResourceInfo): Fragment {
  const isOwn = kind.kind === info.kind || kind.kind === `${info.kind}List`;
  if (info.custom !== undefined && kind.group === info.group && isOwn) {
    return reference(customDefinitionName(info, kind.kind), 'v3');
  }
  const struct = findKindStruct(kind.group, kind.version, kind.kind);
  return struct === undefined ? { type: 'string' } : reference(definitionName(struct.name), 'v3');
}

function query(name: string): Fragment {
  const known = parameterTypes.get(name);
  return {
    name,
    in: 'query',
    description: known?.description ?? '',
    schema: { type: known?.type ?? 'string', uniqueItems: true },
  };
}
