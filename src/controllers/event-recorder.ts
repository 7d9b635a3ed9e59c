import { hostname } from 'node:os';
import type { Clock } from '../base/clock.ts';
import { LruMap } from '../base/lru-map.ts';
import { isApiError } from '../kube/client/kube-api-error.ts';
import type { KubeClient } from '../kube/client/kube-client.ts';
import type { KubeObject } from '../kube/object.ts';
import { SimilarEvents } from '../kube/similar-events.ts';
import { formatMicroTime, formatTime } from '../kube/time.ts';
import { EVENTS } from './resource-types.ts';

/** Events that are counted up instead of written anew; the oldest are forgotten first. */
const REMEMBERED = 4096;
/** Within this time the same event is a repetition, later it is told again. */
const REPEAT_MS = 10 * 60_000;

interface Remembered {
  readonly name: string;
  readonly namespace: string;
  readonly at: number;
  readonly count: number;
}

export interface RecordedEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  /** Set by the scheduler, whose events follow the newer form. */
  readonly action?: string;
  /** For whose sake it happened; only in the newer form. */
  readonly related?: KubeObject;
}

/** Writes Events in the background, one after the other; the same one again only counts up. Failures are dropped. */
export class EventRecorder {
  readonly #client: KubeClient;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #known = new LruMap<string, Remembered>(REMEMBERED);
  readonly #similar = new SimilarEvents();
  readonly #onError: (error: unknown) => void;
  #last: Promise<void> = Promise.resolve();

  constructor(client: KubeClient, clock: Clock, signal: AbortSignal, onError: (error: unknown) => void) {
    this.#client = client;
    this.#clock = clock;
    this.#signal = signal;
    this.#onError = onError;
  }

  record(component: string, object: KubeObject, event: RecordedEvent): void {
    this.#last = this.#last
      .then(() => this.#write(component, object, event))
      .catch((error: unknown) => {
        if (!this.#signal.aborted) this.#onError(error);
      });
  }

  /** Resolves once everything recorded so far was written or dropped. */
  flush(): Promise<void> {
    return this.#last;
  }

  async #write(component: string, object: KubeObject, event: RecordedEvent): Promise<void> {
    const now = this.#clock.now();
    const { uid = '', namespace = '', name } = object.metadata;
    const group = [component, uid, event.type, event.reason].join('\n');
    // The newer form has no such thing: the scheduler tells each of its events.
    const combined =
      event.action === undefined ? this.#similar.combined(group, event.message, now) : undefined;
    const message = combined ?? event.message;
    const id = combined === undefined ? `${group}\n${message}` : group;
    const known = this.#known.get(id);
    if (known !== undefined && now - known.at < REPEAT_MS && event.action === undefined) {
      const count = known.count + 1;
      try {
        const patch = { count, lastTimestamp: formatTime(now), message };
        await this.#client.patch(EVENTS, known, patch, 'merge', this.#signal);
        this.#known.set(id, { ...known, at: now, count });
        return;
      } catch (error) {
        if (!isApiError(error, 'NotFound')) throw error;
      }
    }
    const eventName = `${name}.${BigInt(Math.floor(now * 1e6)).toString(16)}${suffix()}`;
    const eventNamespace = namespace === '' ? 'default' : namespace;
    const isNew = event.action !== undefined;
    const body = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: eventName, namespace: eventNamespace },
      involvedObject: referenceTo(object),
      reason: event.reason,
      message,
      type: event.type,
      ...(isNew
        ? {
            eventTime: formatMicroTime(now),
            action: event.action,
            ...(event.related === undefined ? {} : { related: referenceTo(event.related) }),
            reportingComponent: component,
            reportingInstance: `${component}-${hostname()}`,
          }
        : {
            source: { component },
            firstTimestamp: formatTime(now),
            lastTimestamp: formatTime(now),
            count: 1,
            reportingComponent: component,
            reportingInstance: '',
          }),
    };
    await this.#client.create(EVENTS, body, this.#signal);
    this.#known.set(id, { name: eventName, namespace: eventNamespace, at: now, count: 1 });
  }
}

function referenceTo({ kind, apiVersion, metadata }: KubeObject): object {
  const { namespace = '', name, uid = '', resourceVersion } = metadata;
  return { kind, ...(namespace === '' ? {} : { namespace }), name, uid, apiVersion, resourceVersion };
}

let counter = 0;

/** Two events of one object in one millisecond need two names. */
function suffix(): string {
  counter = (counter + 1) % 0x1000;
  return counter.toString(16).padStart(3, '0');
}
