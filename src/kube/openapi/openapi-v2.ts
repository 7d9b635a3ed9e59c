import { resources, type ResourceInfo } from '../resources.ts';
import { encodeDocument } from './_gnostic.ts';
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

/** Media type under which clients up to kubectl 1.26 ask for the protobuf form of `/openapi/v2`. */
export const openApiV2ProtobufType = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';

const VERSION = 'v1.36.2';

const PATCH_MEDIA = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
];

/** Body of `GET /openapi/v2` as JSON text. Made anew on each call: a megabyte that few clients want. */
export function openApiV2Json(all: readonly ResourceInfo[] = resources): Uint8Array {
  return Buffer.from(JSON.stringify(documentOf(all)));
}

/** Body of `GET /openapi/v2` in gnostic's protobuf form. Made anew on each call. */
export function openApiV2Protobuf(all: readonly ResourceInfo[] = resources): Uint8Array {
  return encodeDocument(documentOf(all));
}

function documentOf(all: readonly ResourceInfo[]): Fragment {
  const versions = new Map(all.map((info) => [info.apiVersion, info]));
  const groups = new Set(all.flatMap(({ group }) => (group === '' ? [] : [group])));
  const about = [
    ...rootOperations.values(),
    ...[...groups].map(groupOperation),
    ...[...versions.values()].map(resourcesOperation),
  ];
  const items = [
    ...about.map((operation) => [operation.path, discoveryItem(operation)] as const),
    ...all.flatMap((info) => pathsOf(info).map((path) => [path.path, pathItem(path, info)] as const)),
  ];
  const paths = Object.fromEntries(items.toSorted(([a], [b]) => (a < b ? -1 : 1)));
  const known = {
    ...definitions(servedStructs(all), [...versions.values()], 'v2'),
    ...customDefinitions(all, 'v2'),
  };
  return {
    swagger: '2.0',
    info: { title: 'Kubernetes', version: VERSION },
    paths,
    definitions: reachable(paths, known),
    securityDefinitions: {
      BearerToken: {
        description: 'A token in the Authorization header, after the word Bearer.',
        type: 'apiKey',
        name: 'authorization',
        in: 'header',
      },
    },
    security: [{ BearerToken: [] }],
  };
}

function discoveryItem(operation: DiscoveryOperation): Fragment {
  const { answer } = operation;
  const schema = answer === undefined ? { type: 'string' } : reference(definitionName(answer), 'v2');
  return {
    get: {
      produces: operation.media,
      schemes: ['https'],
      tags: [operation.tag],
      description: operation.description,
      operationId: operation.id,
      responses: responsesWith([200], { schema }),
    },
  };
}

function pathItem(path: ApiPath, info: ResourceInfo): Fragment {
  const parameters = path.pathParameters.map((name) => ({
    uniqueItems: true,
    type: 'string',
    description: pathParameterDescription(name, info.kind),
    name,
    in: 'path',
    required: true,
  }));
  return pathWith(path, (operation) => operationItem(operation, info), [
    ...parameters,
    ...path.parameters.map(query),
  ]);
}

function operationItem(operation: ApiOperation, info: ResourceInfo): Fragment {
  const parameters = [...bodyParameter(operation, info), ...operation.parameters.map(query)];
  return {
    consumes: operation.body === 'Patch' ? patchMediaOf(info, PATCH_MEDIA) : ['*/*'],
    produces: operation.media ?? OBJECT_MEDIA,
    schemes: ['https'],
    tags: [groupTag(info.group, info.version)],
    description: operation.description,
    operationId: operation.id,
    ...(parameters.length === 0 ? {} : { parameters }),
    responses: responsesWith(operation.codes, { schema: answerSchema('v2', operation, info) }),
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': operation.kind,
  };
}

function bodyParameter(operation: ApiOperation, info: ResourceInfo): Fragment[] {
  const schema = bodySchema('v2', operation, info);
  if (schema === undefined) return [];
  const required = operation.body === 'DeleteOptions' ? {} : { required: true };
  return [{ name: 'body', in: 'body', ...required, schema }];
}

function query(name: string): Fragment & { name: string } {
  const known = parameterTypes.get(name);
  return {
    uniqueItems: true,
    type: known?.type ?? 'string',
    description: known?.description ?? '',
    name,
    in: 'query',
  };
}
