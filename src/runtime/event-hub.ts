import type { RuntimeEvent } from './runtime-service.ts';

/** Events kept for a listener that does not listen; the oldest go first, because listeners look at the whole state anyway. */
const MAX_WAITING = 1024;

/** Hands runtime events to any number of listeners. */
export class EventHub {
  readonly #listeners = new Set<(event: RuntimeEvent) => void>();

  publish(event: RuntimeEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** Delivers what is published from now on, until the signal aborts. */
  async *events(signal: AbortSignal): AsyncGenerator<RuntimeEvent> {
    const waiting: RuntimeEvent[] = [];
    let wake: (() => void) | undefined;
    const listener = (event: RuntimeEvent): void => {
      if (waiting.push(event) > MAX_WAITING) waiting.shift();
      wake?.();
    };
    const onAbort = (): void => wake?.();
    this.#listeners.add(listener);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      while (!signal.aborted) {
        const event = waiting.shift();
        if (event !== undefined) yield event;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      this.#listeners.delete(listener);
      signal.removeEventListener('abort', onAbort);
    }
  }
}
