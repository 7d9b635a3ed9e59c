import type { Clock } from '../base/clock.ts';
import type { ObjectStore } from './object-store.ts';
import type { ApiLogger } from './request-handler.ts';

/** Events older than this are forgotten, as with kube-apiserver's `--event-ttl`. */
export const EVENT_TTL_MS = 60 * 60_000;
const INTERVAL_MS = 60_000;
/** Events removed in one go; more wait for the next, so that requests are not held up. */
const EXPIRE_AT_ONCE = 500;

/** Expires events and forgets old history once a minute, until the signal aborts. Never throws. */
export async function runMaintenance(
  context: { store: ObjectStore; clock: Clock; logger: ApiLogger | undefined },
  signal: AbortSignal,
): Promise<void> {
  const { store, clock, logger } = context;
  while (!signal.aborted) {
    try {
      await clock.sleep(INTERVAL_MS, signal);
      expireEvents(store, clock.now());
      store.compact();
    } catch (error) {
      if (signal.aborted) return;
      logger?.error({ err: error }, 'Cannot tidy the API database');
    }
  }
}

/** Deletes events that nobody repeated for an hour. */
export function expireEvents(store: ObjectStore, now: number): void {
  for (const key of store.writtenBefore('events', now - EVENT_TTL_MS, EXPIRE_AT_ONCE)) {
    const event = store.get(key);
    if (event !== undefined) store.delete(key, event.revision, event.object);
  }
}
