import { createHash } from 'node:crypto';
import { resources, type ResourceInfo } from '../resources.ts';
import {
  groupOperation,
  resourcesOperation,
  rootOperations,
  type DiscoveryOperation,
} from './_discovery-operations.ts';
import { answerSchema, bodySchema, patchMediaOf, pathWith, responsesWith } from './_operation-parts.ts';
import { groupTag, OBJECT_MEDIA, pathsOf, type ApiOperation, type ApiPath } from './_operations.ts';
import { parameterTypes, pathParameterDescription } from './_parameters.ts';
import { definitionName, definitions, reachable, reference, type Fragment } from './_schema-document.ts';
import { customDefinitions } from './_custom-definitions.ts';
import { servedStructs } from './_served-structs.ts';

/** Version that documents carry, as a 1.36 server's do. */
const VERSION = '1.36';

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
  for (const path of documentPaths(all)) {
    paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${openApiV3Hash(path, all) ?? ''}` };
  }
  return { paths };
}

/**
 * Body of `GET /openapi/v3/<path>`, path such as `api/v1`, `apis/apps/v1`, `apis/apps`, `version`; `undefined` when not served.
 * Made anew each time.
 */
export function openApiV3(path: string, all: readonly ResourceInfo[] = resources): Uint8Array | undefined {
  const document = documentAt(path, all);
  return document === undefined ? undefined : Buffer.from(JSON.stringify(document));
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

function documentPaths(all: readonly ResourceInfo[]): string[] {
  const groups = all.flatMap(({ group }) => (group === '' ? [] : [`apis/${group}`]));
  return [...new Set([...rootOperations.keys(), ...groups, ...all.map(groupPath)])].toSorted();
}

function groupPath(info: ResourceInfo): string {
  return info.group === '' ? `api/${info.version}` : `apis/${info.group}/${info.version}`;
}

function documentAt(path: string, all: readonly ResourceInfo[]): Fragment | undefined {
  const root = rootOperations.get(path);
  if (root !== undefined) return documentOf([root], []);
  const [apis, group, version] = path.split('/');
  if (apis === 'apis' && group !== undefined && version === undefined) {
    const isServed = all.some((info) => info.group === group);
    return isServed ? documentOf([groupOperation(group)], []) : undefined;
  }
  const served = all.filter((info) => groupPath(info) === path);
  const [first] = served;
  return first === undefined ? undefined : documentOf([resourcesOperation(first)], served);
}

function documentOf(about: readonly DiscoveryOperation[], served: readonly ResourceInfo[]): Fragment {
  const items = [
    ...about.map((operation) => [operation.path, discoveryItem(operation)] as const),
    ...served.flatMap((info) => pathsOf(info).map((path) => [path.path, pathItem(path, info)] as const)),
  ];
  const paths = Object.fromEntries(items.toSorted(([a], [b]) => (a < b ? -1 : 1)));
  const all = {
    ...definitions(servedStructs(served), served.slice(0, 1), 'v3'),
    ...customDefinitions(served, 'v3'),
  };
  const schemas = reachable(paths, all);
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: VERSION },
    paths,
    components: {
      ...(Object.keys(schemas).length === 0 ? {} : { schemas }),
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

function discoveryItem(operation: DiscoveryOperation): Fragment {
  const { answer } = operation;
  const schema = answer === undefined ? { type: 'string' } : reference(definitionName(answer), 'v3');
  return {
    get: {
      tags: [operation.tag],
      description: operation.description,
      operationId: operation.id,
      responses: responsesWith([200], { content: content(operation.media, schema) }),
    },
  };
}

function pathItem(path: ApiPath, info: ResourceInfo): Fragment {
  const parameters = path.pathParameters.map((name) => ({
    name,
    in: 'path',
    description: pathParameterDescription(name, info.kind),
    required: true,
    schema: { type: 'string', uniqueItems: true },
  }));
  return pathWith(path, (operation) => operationItem(operation, info), [
    ...parameters,
    ...path.parameters.map(query),
  ]);
}

function operationItem(operation: ApiOperation, info: ResourceInfo): Fragment {
  const answered = content(operation.media ?? OBJECT_MEDIA, answerSchema('v3', operation, info));
  return {
    tags: [groupTag(info.group, info.version)],
    description: operation.description,
    operationId: operation.id,
    ...(operation.parameters.length === 0 ? {} : { parameters: operation.parameters.map(query) }),
    ...requestBody(operation, info),
    responses: responsesWith(operation.codes, { content: answered }),
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': operation.kind,
  };
}

function requestBody(operation: ApiOperation, info: ResourceInfo): Fragment {
  const schema = bodySchema('v3', operation, info);
  if (schema === undefined) return {};
  const media = operation.body === 'Patch' ? patchMediaOf(info, PATCH_MEDIA) : ['*/*'];
  const required = operation.body === 'DeleteOptions' ? {} : { required: true };
  return { requestBody: { content: content(media, schema), ...required } };
}

function content(media: readonly string[], schema: Fragment): Fragment {
  return Object.fromEntries(media.map((type) => [type, { schema }]));
}

function query(name: string): Fragment & { name: string } {
  const known = parameterTypes.get(name);
  return {
    name,
    in: 'query',
    description: known?.description ?? '',
    schema: { type: known?.type ?? 'string', uniqueItems: true },
  };
}
