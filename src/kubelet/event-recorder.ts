import { hrtime } from 'node:process';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/coded-error.ts';
import { LruMap } from '../base/lru-map.ts';
import type { KubeClient, ResourceType } from '../kube/client/kube-client.ts';
import type { KubeObject } from '../kube/object.ts';
import { SimilarEvents } from '../kube/similar-events.ts';
import { formatTime } from '../kube/time.ts';
import { silentLogger, type Logger } from '../observe/logger.ts';
import type { EventObject, EventRecorder } from './ensure-image.ts';

export const EVENTS: ResourceType = {
  group: '',
  version: 'v1',
  resource: 'events',
  kind: 'Event',
  namespaced: true,
};

/** Events kept to recognise repetitions; client-go's cache has the same size. */
const MAX_KNOWN = 4096;

/** One source may report on one object this often at once, and then once in five minutes. client-go's values. */
const SPAM_BURST = 25;
const SPAM_REFILL_MS = 300_000;

/** Events that wait for a slow server; more are dropped, as in client-go's broadcaster. */
const MAX_QUEUED = 1000;

/** Attempts to write one event before it is given up, with pauses between. */
const MAX_ATTEMPTS = 12;
const RETRY_MS = 10_000;

interface Request {
  readonly object: EventObject;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  readonly at: number;
}

interface Known {
  readonly name: string;
  readonly firstAt: number;
  readonly count: number;
}

export interface EventRecorderOptions {
  readonly client: KubeClient;
  /** `source.component`: `kubelet`. */
  readonly component: string;
  /** `source.host`: the node's name. */
  readonly host: string;
  readonly clock: Clock;
  readonly logger?: Logger;
}

/** A recorder that can be waited for. */
export interface QueuedEventRecorder extends EventRecorder {
  /** Resolves when everything recorded so far is written or given up. */
  flush(): Promise<void>;
  /** Gives up what waits. */
  close(): Promise<void>;
}

/** Records events at the API server, one after the other: identical ones are counted, floods limited, as client-go does. */
export function createEventRecorder(options: EventRecorderOptions): QueuedEventRecorder {
  return new Recorder(options);
}

class Recorder implements QueuedEventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #logger: Logger;
  readonly #known = new LruMap<string, Known>(MAX_KNOWN);
  readonly #similar = new SimilarEvents();
  readonly #tokens = new LruMap<string, { left: number; at: number }>(MAX_KNOWN);
  readonly #closing = new AbortController();
  #queued = 0;
  #tail: Promise<void> = Promise.resolve();

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#logger = options.logger ?? silentLogger;
  }

  event(object: EventObject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    if (this.#closing.signal.aborted) return;
    if (this.#queued >= MAX_QUEUED) {
      this.#logger.warn({ reason, object: object.name }, 'event dropped: too many wait');
      return;
    }
    this.#queued++;
    const request = { object, type, reason, message, at: this.#options.clock.now() };
    this.#tail = this.#tail.then(async () => {
      try {
        await this.#record(request);
      } catch (error) {
        this.#logger.warn({ reason, object: object.name, error: messageOf(error) }, 'event not recorded');
      } finally {
        this.#queued--;
      }
    });
  }

  async flush(): Promise<void> {
    await this.#tail;
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('the event recorder was closed'));
    await this.#tail;
  }

  async #record(request: Request): Promise<void> {
    const { key, message } = this.#correlate(request);
    const before = this.#known.get(key);
    const known: Known = {
      name: before?.name ?? `${request.object.name}.${eventSuffix(request.at)}`,
      firstAt: before?.firstAt ?? request.at,
      count: (before?.count ?? 0) + 1,
    };
    // Counted before it is held back: what is let through later tells how often it really happened.
    this.#known.set(key, known);
    if (this.#isSpam(request)) return;
    for (let attempt = 1; ; attempt++) {
      try {
        if (before !== undefined && (await this.#count(known, request, message))) return;
        await this.#create(known, request, message);
        return;
      } catch (error) {
        const permanent = isPermanent(error);
        if (permanent || attempt >= MAX_ATTEMPTS || this.#closing.signal.aborted) throw error;
        await this.#options.clock.sleep(RETRY_MS, this.#closing.signal);
      }
    }
  }

  /** Many different messages of one kind become one event, so that a message with a changing part cannot fill the server. */
  #correlate(request: Request): { key: string; message: string } {
    const { object, type, reason, message, at } = request;
    // Similar is what is said of a whole object; the same is what is said of one part of it.
    const group = JSON.stringify([identity(object), type, reason]);
    const combined = this.#similar.combined(group, message, at);
    if (combined !== undefined) return { key: group, message: combined };
    return { key: JSON.stringify([group, object.fieldPath ?? '', message]), message };
  }

  #isSpam(request: Request): boolean {
    const key = JSON.stringify(identity(request.object));
    const bucket = this.#tokens.get(key) ?? { left: SPAM_BURST, at: request.at };
    const left = Math.min(SPAM_BURST, bucket.left + (request.at - bucket.at) / SPAM_REFILL_MS);
    const spam = left < 1;
    this.#tokens.set(key, { left: spam ? left : left - 1, at: request.at });
    return spam;
  }

  /** Raises the count of an event that exists; false when the server has forgotten it. */
  async #count(known: Known, request: Request, message: string): Promise<boolean> {
    const patch = { count: known.count, lastTimestamp: formatTime(request.at), message };
    try {
      const name = { namespace: request.object.namespace ?? 'default', name: known.name };
      await this.#options.client.patch(EVENTS, name, patch, 'strategic', this.#closing.signal);
      return true;
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
      return false;
    }
  }

  async #create(known: Known, request: Request, message: string): Promise<void> {
    const { component, host, client } = this.#options;
    const { object } = request;
    const namespace = object.namespace ?? 'default';
    const { name, firstAt, count } = known;
    const event: KubeObject & Record<string, unknown> = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace },
      involvedObject: object,
      reason: request.reason,
      message,
      source: { component, host },
      firstTimestamp: formatTime(firstAt),
      lastTimestamp: formatTime(request.at),
      count,
      type: request.type,
      eventTime: null,
      reportingComponent: component,
      reportingInstance: host,
    };
    await client.create(EVENTS, event, this.#closing.signal);
  }
}

let lastSuffix = 0n;

/** Nanoseconds since the epoch in hex, as client-go names events; never the same twice in one process. */
function eventSuffix(at: number): string {
  const now = BigInt(at) * 1_000_000n + (hrtime.bigint() % 1_000_000n);
  lastSuffix = now > lastSuffix ? now : lastSuffix + 1n;
  return lastSuffix.toString(16);
}

function identity(object: EventObject): string[] {
  return [object.kind, object.namespace ?? '', object.name, object.uid, object.apiVersion];
}

function hasReason(error: unknown, reason: string): boolean {
  return error instanceof Error && 'code' in error && error.code === reason;
}

/** The server has understood and refused: saying it again cannot help. */
function isPermanent(error: unknown): boolean {
  return ['NotFound', 'Invalid', 'Forbidden', 'BadRequest', 'AlreadyExists', 'Unauthorized'].some((reason) =>
    hasReason(error, reason),
  );
}
