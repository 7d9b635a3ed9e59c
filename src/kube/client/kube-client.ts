import type { KubeList, KubeObject } from '../object.ts';

/** Names a resource as paths do: group (`''` for core), version and plural. */
export interface ResourceType {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

export interface ListOptions {
  /** Absent: all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  readonly continue?: string;
  readonly resourceVersion?: string;
}

export interface WatchOptions extends ListOptions {
  readonly allowWatchBookmarks?: boolean;
}

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | {
      readonly type: 'BOOKMARK';
      readonly object: { readonly metadata: { readonly resourceVersion: string } };
    };

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply';

/** Names one object. */
export interface ObjectName {
  readonly namespace?: string;
  readonly name: string;
}

/**
 * Talks to a Kubernetes API server over HTTP, ours or any other. Every method throws `KubeApiError`
 * (the server's Status, or a transport failure) and stops when the signal aborts.
 */
export interface KubeClient {
  get<T extends KubeObject>(type: ResourceType, name: ObjectName, signal: AbortSignal): Promise<T>;
  list<T extends KubeObject>(
    type: ResourceType,
    options: ListOptions,
    signal: AbortSignal,
  ): Promise<KubeList<T>>;
  /** Ends when the server closes the stream; throws `KubeApiError` with reason `Expired` on 410. */
  watch<T extends KubeObject>(
    type: ResourceType,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>>;
  create<T extends KubeObject>(type: ResourceType, object: T, signal: AbortSignal): Promise<T>;
  update<T extends KubeObject>(
    type: ResourceType,
    object: T,
    signal: AbortSignal,
    subresource?: string,
  ): Promise<T>;
  patch<T extends KubeObject>(
    type: ResourceType,
    name: ObjectName,
    patch: unknown,
    patchType: PatchType,
    signal: AbortSignal,
    options?: { subresource?: string; fieldManager?: string; force?: boolean },
  ): Promise<T>;
  delete(
    type: ResourceType,
    name: ObjectName,
    signal: AbortSignal,
    options?: {
      gracePeriodSeconds?: number;
      preconditions?: { uid?: string; resourceVersion?: string };
      propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
    },
  ): Promise<void>;
  /** POSTs to a subresource that answers with another kind: `token`, `binding`, `eviction`. */
  createSubresource<T extends KubeObject>(
    type: ResourceType,
    name: ObjectName,
    subresource: string,
    object: KubeObject,
    signal: AbortSignal,
  ): Promise<T>;
}

/**
 * A local copy of a set of objects, kept by list and watch, that survives disconnects and `410 Gone`.
 * Handlers are called in order, one at a time.
 */
/** What an informer tells of one object; `old` as it was told before. */
export interface InformerChange<T extends KubeObject> {
  type: 'added' | 'updated' | 'deleted';
  object: T;
  old?: T;
}

export interface Informer<T extends KubeObject> {
  /** Resolves once the first list was delivered. */
  synced(): Promise<void>;
  get(namespace: string | undefined, name: string): T | undefined;
  values(): T[];
  onChange(handler: (change: InformerChange<T>) => void): void;
}
