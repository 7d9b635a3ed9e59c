import { createHash } from 'node:crypto';

import { resources, type ResourceInfo, type SubresourceInfo } from './resources.ts';

/** Media type of aggregated discovery, which its answers carry as Content-Type. */
export const aggregatedDiscoveryType = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** Body of `GET /api` without aggregation. `serverAddress` is `host:port`. */
export function apiVersions(serverAddress: string): object {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
  };
}

/** Body of `GET /apis` without aggregation. */
export function apiGroupList(all: readonly ResourceInfo[] = resources): object {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groupsOf(all).map((group) => describe(group)) };
}

/** Body of `GET /apis/<group>`; `undefined` when not served. */
export function apiGroup(group: string, all: readonly ResourceInfo[] = resources): object | undefined {
  const found = groupsOf(all).find((candidate) => candidate.name === group);
  return found && { kind: 'APIGroup', apiVersion: 'v1', ...describe(found) };
}

/** Body of `GET /api/v1` and `GET /apis/<group>/<version>`; `undefined` when not served. */
export function apiResourceList(
  group: string,
  version: string,
  all: readonly ResourceInfo[] = resources,
): object | undefined {
  const served = all.filter((info) => info.group === group && info.version === version);
  const first = served[0];
  if (first === undefined) return undefined;
  return {
    kind: 'APIResourceList',
    // The core group answers in a form older than the field.
    ...(group === '' ? {} : { apiVersion: 'v1' }),
    groupVersion: first.apiVersion,
    resources: served
      .toSorted((a, b) => compare(a.resource, b.resource))
      .flatMap((info) => [classicResource(info), ...info.subresources.map((sub) => classicSub(info, sub))]),
  };
}

/** Body of `GET /api` (`core`) or `GET /apis` (`groups`) for clients that accept `aggregatedDiscoveryType`. */
export function aggregatedDiscovery(
  part: 'core' | 'groups',
  all: readonly ResourceInfo[] = resources,
): object {
  const chosen =
    part === 'core'
      ? [{ name: '', versions: ['v1'] }]
      : groupsOf(all).map(({ name, versions }) => ({ name, versions }));
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: chosen.map(({ name, versions }) => ({
      metadata: name === '' ? {} : { name },
      versions: versions.map((version) => ({
        version,
        resources: all
          .filter((info) => info.group === name && info.version === version)
          .toSorted((a, b) => compare(a.resource, b.resource))
          .map(aggregatedResource),
        freshness: 'Current',
      })),
    })),
  };
}

interface Group {
  readonly name: string;
  readonly versions: string[];
}

function groupsOf(all: readonly ResourceInfo[]): Group[] {
  const groups = new Map<string, Group>();
  for (const { group, version } of all) {
    if (group === '') continue;
    const known = groups.get(group);
    if (known === undefined) groups.set(group, { name: group, versions: [version] });
    else if (!known.versions.includes(version)) known.versions.push(version);
  }
  return [...groups.values()];
}

function describe(group: Group): object {
  const versions = group.versions.map((version) => ({ groupVersion: `${group.name}/${version}`, version }));
  return { name: group.name, versions, preferredVersion: versions[0] };
}

function classicResource(info: ResourceInfo): object {
  return {
    name: info.resource,
    singularName: info.singular,
    namespaced: info.namespaced,
    kind: info.kind,
    verbs: info.verbs,
    ...names(info),
    ...(info.verbs.includes('watch') ? { storageVersionHash: storageVersionHash(info) } : {}),
  };
}

function classicSub(info: ResourceInfo, sub: SubresourceInfo): object {
  return {
    name: `${info.resource}/${sub.name}`,
    singularName: '',
    namespaced: info.namespaced,
    ...(sub.group === undefined ? {} : { group: sub.group, version: sub.version }),
    kind: sub.kind,
    verbs: sub.verbs,
  };
}

function aggregatedResource(info: ResourceInfo): object {
  return {
    resource: info.resource,
    responseKind: { group: '', version: '', kind: info.kind },
    scope: info.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: info.singular,
    verbs: info.verbs,
    ...names(info),
    ...(info.subresources.length === 0
      ? {}
      : {
          subresources: info.subresources.map((sub) => ({
            subresource: sub.name,
            responseKind: { group: sub.group ?? '', version: sub.version ?? '', kind: sub.kind },
            verbs: sub.verbs,
          })),
        }),
  };
}

function names(info: ResourceInfo): object {
  return {
    ...(info.shortNames.length === 0 ? {} : { shortNames: info.shortNames }),
    ...(info.categories.length === 0 ? {} : { categories: info.categories }),
  };
}

/** The first eight bytes of SHA-256 over what is stored, as clients compare it to notice a storage migration. */
function storageVersionHash(info: ResourceInfo): string {
  const { group, version } = info.storedAs ?? info;
  const digest = createHash('sha256').update(`${group}/${version}/${info.kind}`).digest();
  return digest.subarray(0, 8).toString('base64');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
