/** A part of an object served under its own path, such as `pods/status`. */
export interface SubresourceInfo {
  readonly name: string;
  /** Kind that the path speaks, with its group and version when they differ from the resource's. */
  readonly kind: string;
  readonly group?: string;
  readonly version?: string;
  readonly verbs: readonly string[];
}

/** One served resource with everything that discovery says about it. */
export interface ResourceInfo {
  readonly group: string;
  readonly version: string;
  /** `v1`, `apps/v1` */
  readonly apiVersion: string;
  /** Plural name as in paths. */
  readonly resource: string;
  readonly singular: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  /** Empty for kinds that live only under subresources. Without `list`, the resource is not stored (reviews). */
  readonly verbs: readonly string[];
  readonly subresources: readonly SubresourceInfo[];
  /** Where the same objects are stored when another group serves them too: Events. Absent: under itself. */
  readonly storedAs?: { readonly group: string; readonly version: string };
}

export declare const resources: readonly ResourceInfo[];
/** Finds by path parts; `undefined` when not served. */
export declare function findResource(
  group: string,
  version: string,
  resource: string,
): ResourceInfo | undefined;
/** Finds by what a body says: `apps/v1`, `Deployment`. */
export declare function findKind(apiVersion: string, kind: string): ResourceInfo | undefined;
/** Splits `apps/v1` into group and version; `v1` has group `''`. */
export declare function parseApiVersion(apiVersion: string): { group: string; version: string };
