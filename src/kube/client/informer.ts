import { setTimeout as delay } from 'node:timers/promises';
import type { KubeObject } from '../object.ts';
import { isApiError } from './kube-api-error.ts';
import type { Informer, InformerChange, KubeClient, ListOptions, ResourceType } from './kube-client.ts';

type Handler<T extends KubeObject> = (change: InformerChange<T>) => void;

/** Objects fetched with one request while listing. */
const PAGE = 500;
const MIN_PAUSE_MS = 200;
const MAX_PAUSE_MS = 10_000;

export interface InformerOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Leaves `metadata.managedFields` out of the copy: half of its size, and of no use to most. */
  readonly dropManagedFields?: boolean;
  /** Told of failures that the informer recovers from by itself. */
  readonly onError?: (error: unknown) => void;
}

/**
 * Keeps a local copy of a set of objects by list and watch until the signal aborts.
 * After a disconnect it watches on from where it was; after `410 Gone` it lists anew and reports the difference.
 */
export function createInformer<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType,
  options: InformerOptions,
  signal: AbortSignal,
): Informer<T> {
  const informer = new ListWatchInformer<T>(client, type, options);
  void informer.run(signal);
  return informer;
}

class ListWatchInformer<T extends KubeObject> implements Informer<T> {
  readonly #client: KubeClient;
  readonly #type: ResourceType;
  readonly #options: InformerOptions;
  readonly #objects = new Map<string, T>();
  readonly #handlers: Handler<T>[] = [];
  readonly #synced = Promise.withResolvers<void>();
  #isSynced = false;

  constructor(client: KubeClient, type: ResourceType, options: InformerOptions) {
    this.#client = client;
    this.#type = type;
    this.#options = options;
    // Who never asks whether it is in sync must not be hurt by the answer that it never will be.
    this.#synced.promise.catch(() => undefined);
  }

  synced(): Promise<void> {
    return this.#synced.promise;
  }

  get(namespace: string | undefined, name: string): T | undefined {
    return this.#objects.get(`${namespace ?? ''}/${name}`);
  }

  values(): T[] {
    return [...this.#objects.values()];
  }

  onChange(handler: Handler<T>): void {
    this.#handlers.push(handler);
    for (const object of this.#objects.values()) handler({ type: 'added', object });
  }

  async run(signal: AbortSignal): Promise<void> {
    let pause = MIN_PAUSE_MS;
    let position: string | undefined;
    while (!signal.aborted) {
      try {
        if (position === undefined) {
          position = await this.#list(signal);
          if (!this.#isSynced) {
            this.#isSynced = true;
            this.#synced.resolve();
          }
        }
        let events = 0;
        for await (const event of this.#watch(position, signal)) {
          position = event;
          pause = MIN_PAUSE_MS;
          events++;
        }
        // A server that closes each watch at once must not be asked again without pause.
        if (events === 0) await delay(MIN_PAUSE_MS, undefined, { signal });
      } catch (error) {
        if (signal.aborted) break;
        const isExpired = isApiError(error, 'Expired', 'Gone');
        if (isExpired) position = undefined;
        this.#options.onError?.(error);
        try {
          await delay(isExpired ? 0 : pause * (0.5 + Math.random()), undefined, { signal });
        } catch {
          break;
        }
        pause = Math.min(pause * 2, MAX_PAUSE_MS);
      }
    }
    this.#synced.reject(signal.reason);
  }

  async #list(signal: AbortSignal): Promise<string> {
    const seen = new Map<string, T>();
    let token: string | undefined;
    let position: string;
    do {
      const list = await this.#client.list<T>(
        this.#type,
        { ...this.#selection(), limit: PAGE, ...(token === undefined ? {} : { continue: token }) },
        signal,
      );
      for (const object of list.items) seen.set(keyOf(object), this.#trim(object));
      token = list.metadata.continue;
      position = list.metadata.resourceVersion;
    } while (token !== undefined && token !== '');
    for (const [key, old] of this.#objects) {
      if (seen.has(key)) continue;
      this.#objects.delete(key);
      this.#tell({ type: 'deleted', object: old });
    }
    for (const object of seen.values()) this.#put(object);
    return position;
  }

  /** Yields the position after each event. */
  async *#watch(from: string, signal: AbortSignal): AsyncGenerator<string> {
    const options = { ...this.#selection(), resourceVersion: from, allowWatchBookmarks: true };
    for await (const event of this.#client.watch<T>(this.#type, options, signal)) {
      if (event.type === 'DELETED') {
        this.#objects.delete(keyOf(event.object));
        this.#tell({ type: 'deleted', object: this.#trim(event.object) });
      } else if (event.type !== 'BOOKMARK') this.#put(this.#trim(event.object));
      const { resourceVersion } = event.object.metadata;
      if (resourceVersion !== undefined) yield resourceVersion;
    }
  }

  #selection(): ListOptions {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    return {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    };
  }

  #trim(object: T): T {
    if (this.#options.dropManagedFields === true) delete object.metadata.managedFields;
    return object;
  }

  #put(object: T): void {
    const key = keyOf(object);
    const old = this.#objects.get(key);
    this.#objects.set(key, object);
    if (old === undefined) {
      this.#tell({ type: 'added', object });
      return;
    }
    if (old.metadata.uid !== object.metadata.uid) {
      // Deleted and made again while nobody was watching: two objects, two stories.
      this.#tell({ type: 'deleted', object: old });
      this.#tell({ type: 'added', object });
      return;
    }
    if (old.metadata.resourceVersion === object.metadata.resourceVersion) return;
    this.#tell({ type: 'updated', object, old });
  }

  #tell(change: InformerChange<T>): void {
    for (const handler of this.#handlers) {
      try {
        handler(change);
      } catch (error) {
        // One handler's mistake must not stop the others, nor the copy from being kept.
        this.#options.onError?.(error);
      }
    }
  }
}

function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}
