import type { Clock } from '../base/clock.ts';
import { createInformer } from '../kube/client/informer.ts';
import { isApiError } from '../kube/client/kube-api-error.ts';
import type { Informer, KubeClient, ResourceType } from '../kube/client/kube-client.ts';
import type { KubeObject } from '../kube/object.ts';
import type { EventRecorder } from './event-recorder.ts';
import { WorkQueue } from './work-queue.ts';

/** Where controllers tell of what went wrong; pino's loggers fit. */
export interface ControllerLogger {
  warn(fields: object, message: string): void;
}

/** What every controller works with. Informers are shared: one list and watch for each resource. */
export class ControllerContext {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly events: EventRecorder;
  readonly signal: AbortSignal;
  readonly #logger: ControllerLogger | undefined;
  readonly #informers = new Map<ResourceType, Informer<KubeObject>>();
  #synced: Promise<void> | undefined;

  constructor(options: {
    client: KubeClient;
    clock: Clock;
    events: EventRecorder;
    signal: AbortSignal;
    logger: ControllerLogger | undefined;
  }) {
    this.client = options.client;
    this.clock = options.clock;
    this.events = options.events;
    this.signal = options.signal;
    this.#logger = options.logger;
  }

  informer<T extends KubeObject>(type: ResourceType): Informer<T> {
    let informer = this.#informers.get(type);
    if (informer === undefined) {
      informer = this.informerUntil(type, this.signal);
      this.#informers.set(type, informer);
    }
    return informer as Informer<T>;
  }

  /** An informer of somebody's own, for a resource that comes and goes; nobody waits for its first list. */
  informerUntil(type: ResourceType, signal: AbortSignal): Informer<KubeObject> {
    const onError = (error: unknown): void => this.warn(`watch ${type.resource}`, error);
    const ending = AbortSignal.any([this.signal, signal]);
    return createInformer(this.client, type, { onError, dropManagedFields: true }, ending);
  }

  /** Resolves once every informer has its first list; informers asked for after the first call do not count. */
  synced(): Promise<void> {
    this.#synced ??= Promise.all([...this.#informers.values()].map((informer) => informer.synced())).then(
      () => undefined,
    );
    return this.#synced;
  }

  queue(
    name: string,
    reconcile: (key: string, signal: AbortSignal) => Promise<void>,
    workers = 1,
    rank?: (key: string) => number,
  ): WorkQueue {
    const onError = (key: string, error: unknown): void => {
      // Lost races are part of the way the API works; the next round sees the newer state.
      if (!isApiError(error, 'Conflict')) this.warn(`${name} "${key}"`, error);
    };
    // Half a picture is worse than none: with the Pods still to come, all of them would seem to be missing.
    const whole = async (key: string, signal: AbortSignal): Promise<void> => {
      await this.synced();
      await reconcile(key, signal);
    };
    const options = { clock: this.clock, workers, onError, ...(rank === undefined ? {} : { rank }) };
    return new WorkQueue(whole, options, this.signal);
  }

  warn(what: string, error: unknown): void {
    this.#logger?.warn({ err: error }, `Cannot ${what}`);
  }
}

/** Names an object in a queue. */
export function queueKey(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}

/** Splits what `queueKey` joined. */
export function splitKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** Runs a write whose failure with one of `codes` means that nothing is left to do. */
export async function unless(
  codes: readonly Parameters<typeof isApiError>[1][],
  write: Promise<unknown>,
): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (!isApiError(error, ...codes)) throw error;
  }
}
