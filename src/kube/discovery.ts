import type { ResourceInfo } from './resources.ts';

/** Media type of aggregated discovery, which answers carry as Content-Type. */
export declare const aggregatedDiscoveryType: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** Body of `GET /api` without aggregation. `serverAddress` is `host:port`. */
export declare function apiVersions(serverAddress: string): object;
/** Body of `GET /apis` without aggregation. */
export declare function apiGroupList(all?: readonly ResourceInfo[]): object;
/** Body of `GET /apis/<group>`; `undefined` when not served. */
export declare function apiGroup(group: string, all?: readonly ResourceInfo[]): object | undefined;
/** Body of `GET /api/v1` and `GET /apis/<group>/<version>`; `undefined` when not served. */
export declare function apiResourceList(
  group: string,
  version: string,
  all?: readonly ResourceInfo[],
): object | undefined;
/** Body of `GET /api` (`core`) or `GET /apis` (`groups`) for clients that accept `aggregatedDiscoveryType`. */
export declare function aggregatedDiscovery(part: 'core' | 'groups', all?: readonly ResourceInfo[]): object;
