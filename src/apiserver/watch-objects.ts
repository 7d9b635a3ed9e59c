import type { Clock } from '../base/clock.ts';
import type { KubeObject } from '../kube/object.ts';
import { resourceExpired, resourceVersionTooLarge, type Status } from '../kube/status.ts';
import { asServed, storageName, type ApiCall, type ApiContext } from './api-call.ts';
import { StoreError, type Change } from './stored-object.ts';
import { selectionOf, type Selection } from './read-objects.ts';
import { listOptions } from './request-options.ts';

export interface WatchFrame {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: KubeObject | Status;
}

/** Delivers frames; `send` returns false when the reader is too slow and the watch has to end. */
export interface WatchSink {
  send(frame: WatchFrame): boolean;
  end(): void;
}

/** A client without `timeoutSeconds` is sent away after 30 to 60 minutes, so that watches spread over time. */
const MIN_TIMEOUT_MS = 30 * 60_000;
/** Bookmarks keep the position of idle watches inside the history kept. */
const BOOKMARK_MS = 60_000;
/** A last bookmark goes out so long before the end. */
const LAST_BOOKMARK_MS = 2_000;
/** Changes read from history in one go. */
const REPLAY = 500;

/**
 * Answers `watch`: replays what came after the wanted revision, then delivers each change as it is stored.
 * Throws before the first frame when the request is bad; ends by itself at the time-out.
 *
 * @returns the way to start it, once the head of the answer was sent
 */
export function watchObjects(context: ApiContext, call: ApiCall): (sink: WatchSink) => void {
  const options = listOptions(call.request.query, true);
  const { resource } = call;
  const selection = selectionOf(resource, options.labelSelector, options.fieldSelector);
  const { store } = context;
  const from = options.resourceVersion;
  if (from !== undefined && from > store.revision) throw resourceVersionTooLarge(from, store.revision);
  // Without a position a watch begins with what is there; the bookmark behind it says so to who wants to know.
  const sendInitial = options.sendInitialEvents ?? (from === undefined || from === 0);
  const timeout =
    options.timeoutSeconds === undefined || options.timeoutSeconds <= 0
      ? MIN_TIMEOUT_MS * (1 + Math.random())
      : options.timeoutSeconds * 1000;
  return (sink) => {
    const watch = new Watch(context, call, selection, sink);
    watch.start({
      initial: sendInitial,
      from: from === undefined || from === 0 ? store.revision : from,
      bookmarks: options.allowWatchBookmarks,
      timeout,
    });
  };
}

class Watch {
  readonly #context: ApiContext;
  readonly #call: ApiCall;
  readonly #selection: Selection;
  readonly #namespace: string | undefined;
  readonly #sink: WatchSink;
  readonly #ending = new AbortController();
  #revision = 0;
  #bookmarked = 0;
  #stop: (() => void) | undefined;

  constructor(context: ApiContext, call: ApiCall, selection: Selection, sink: WatchSink) {
    this.#context = context;
    this.#call = call;
    this.#selection = selection;
    this.#sink = sink;
    const { namespace } = call.request;
    this.#namespace = call.resource.namespaced && namespace !== '' ? namespace : undefined;
  }

  start(options: { initial: boolean; from: number; bookmarks: boolean; timeout: number }): void {
    const { store } = this.#context;
    const resource = storageName(this.#call.resource);
    const { signal } = this.#call;
    if (signal.aborted) return;
    // A watcher must not see what could still be undone.
    store.flush();
    signal.addEventListener('abort', () => this.#finish(), { once: true, signal: this.#ending.signal });
    // Everything up to the subscription runs without a pause, so no change falls between replay and live delivery.
    if (options.initial) {
      const list = store.list(resource, this.#namespace === undefined ? {} : { namespace: this.#namespace });
      this.#revision = list.revision;
      for (const { object } of list.items) {
        const served = asServed(this.#call.resource, object);
        if (this.#selection.matches(served) && !this.#send({ type: 'ADDED', object: served })) return;
      }
      if (options.bookmarks && !this.#bookmark({ 'k8s.io/initial-events-end': 'true' })) return;
    } else if (!this.#replay(resource, options.from)) return;
    this.#stop = store.subscribe(resource, (change) => {
      this.#deliver(change);
    });
    void this.#bookmarkOften(options);
  }

  #replay(resource: string, from: number): boolean {
    const { store } = this.#context;
    this.#revision = from;
    try {
      for (;;) {
        const changes = store.changesAfter(resource, this.#revision, REPLAY);
        for (const change of changes) if (!this.#deliver(change)) return false;
        if (changes.length < REPLAY) return true;
      }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      const { status } = resourceExpired(`too old resource version: ${from} (${store.compacted})`);
      this.#send({ type: 'ERROR', object: status });
      this.#finish();
      return false;
    }
  }

  #deliver(change: Change): boolean {
    this.#revision = change.revision;
    if (this.#namespace !== undefined && change.key.namespace !== this.#namespace) return true;
    const frame = frameOf(this.#call, this.#selection, change);
    return frame === undefined || this.#send(frame);
  }

  async #bookmarkOften(options: { bookmarks: boolean; timeout: number }): Promise<void> {
    const { clock } = this.#context;
    const end = clock.now() + options.timeout;
    const { signal } = this.#ending;
    try {
      for (;;) {
        const left = end - clock.now();
        if (left <= 0) break;
        const untilLast = left - LAST_BOOKMARK_MS;
        const pause = options.bookmarks && untilLast > 0 ? Math.min(BOOKMARK_MS, untilLast) : left;
        await this.#sleep(clock, pause, signal);
        if (options.bookmarks && end - clock.now() > 0 && !this.#bookmark()) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    this.#finish();
  }

  #sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    return clock.sleep(ms, signal);
  }

  #bookmark(annotations?: Record<string, string>): boolean {
    // Nothing of this kind changes the answer to "where am I": the store's own position is as good, and newer.
    const revision = this.#stop === undefined ? this.#revision : this.#context.store.revision;
    if (annotations === undefined && revision === this.#bookmarked) return true;
    this.#bookmarked = revision;
    const { kind, apiVersion } = this.#call.resource;
    const metadata = {
      resourceVersion: String(revision),
      ...(annotations === undefined ? {} : { annotations }),
    } as KubeObject['metadata'];
    return this.#send({ type: 'BOOKMARK', object: { kind, apiVersion, metadata } });
  }

  #send(frame: WatchFrame): boolean {
    if (this.#sink.send(frame)) return true;
    this.#finish();
    return false;
  }

  #finish(): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort();
    this.#stop?.();
    this.#sink.end();
  }
}

/** Says what a change means to a watcher with a selection: an object that stops matching is deleted to it. */
function frameOf(call: ApiCall, selection: Selection, change: Change): WatchFrame | undefined {
  const { resource } = call;
  const object = asServed(resource, change.object);
  const isFiltered = selection.labels !== undefined || selection.fields !== undefined;
  if (!isFiltered) return { type: change.type, object };
  const previous = change.previous === undefined ? undefined : asServed(resource, change.previous);
  const before = previous !== undefined && selection.matches(previous);
  const after = change.type !== 'DELETED' && selection.matches(object);
  if (after) return { type: before ? 'MODIFIED' : 'ADDED', object };
  if (!before) {
    // History may have lost the state before a deletion; then the last state decides.
    const matched = change.type === 'DELETED' && previous === undefined && selection.matches(object);
    return matched ? { type: 'DELETED', object } : undefined;
  }
  if (change.type === 'DELETED') return { type: 'DELETED', object };
  const metadata = { ...previous.metadata, resourceVersion: String(change.revision) };
  return { type: 'DELETED', object: { ...previous, metadata } };
}
