import type { ResourceInfo } from '../resources.ts';
import { groupName, groupTag, OBJECT_MEDIA } from './_operations.ts';

/** One document about the API itself: what is there, in which versions. */
export interface DiscoveryOperation {
  readonly path: string;
  readonly tag: string;
  readonly id: string;
  readonly description: string;
  /** Struct of the answer; text when absent. */
  readonly answer?: string;
  readonly media: readonly string[];
}

/** What is asked before any group is known, by the name of its document. */
export const rootOperations: ReadonlyMap<string, DiscoveryOperation> = new Map([
  [
    '.well-known/openid-configuration',
    {
      path: '/.well-known/openid-configuration/',
      tag: 'WellKnown',
      id: 'getServiceAccountIssuerOpenIDConfiguration',
      description: 'Tells who issues the tokens of service accounts, and where the keys are.',
      media: ['application/json'],
    },
  ],
  [
    'api',
    {
      path: '/api/',
      tag: 'core',
      id: 'getCoreAPIVersions',
      description: 'Lists the versions of the core group.',
      answer: 'meta.v1.APIVersions',
      media: OBJECT_MEDIA,
    },
  ],
  [
    'apis',
    {
      path: '/apis/',
      tag: 'apis',
      id: 'getAPIVersions',
      description: 'Lists the groups and their versions.',
      answer: 'meta.v1.APIGroupList',
      media: OBJECT_MEDIA,
    },
  ],
  [
    'openid/v1/jwks',
    {
      path: '/openid/v1/jwks/',
      tag: 'openid',
      id: 'getServiceAccountIssuerOpenIDKeyset',
      description: 'Lists the keys that tokens of service accounts are signed with.',
      media: ['application/jwk-set+json'],
    },
  ],
  [
    'version',
    {
      path: '/version/',
      tag: 'version',
      id: 'getCodeVersion',
      description: 'Tells the version of the server.',
      answer: 'version.v1.Info',
      media: ['application/json'],
    },
  ],
]);

/** Describes the document of a group; the core group has none. */
export function groupOperation(group: string): DiscoveryOperation {
  return {
    path: `/apis/${group}/`,
    tag: groupTag(group),
    id: `get${groupName(group)}APIGroup`,
    description: `Tells the versions of the group ${group}.`,
    answer: 'meta.v1.APIGroup',
    media: OBJECT_MEDIA,
  };
}

/** Describes the list of resources of a group and version. */
export function resourcesOperation({ group, version, apiVersion }: ResourceInfo): DiscoveryOperation {
  return {
    path: group === '' ? `/api/${version}/` : `/apis/${group}/${version}/`,
    tag: groupTag(group, version),
    id: `get${groupName(group, version)}APIResources`,
    description: `Lists the resources of ${apiVersion}.`,
    answer: 'meta.v1.APIResourceList',
    media: OBJECT_MEDIA,
  };
}
