import { createHmac } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/coded-error.ts';
import type { Logger } from '../../observe/logger.ts';
import type { WebhookDelivery, WebhookIndex } from '../metadata/webhook-index.ts';
import { eventEnvelope, EVENTS_TYPE, type RegistryEvent } from './registry-event.ts';

/** Somebody who wants to be told. */
export interface Webhook {
  readonly name: string;
  readonly url: string;
  /** Signs each notification: `X-Drayage-Signature: sha256=<HMAC of the body>`. */
  readonly secret?: string;
  /** All, when absent. */
  readonly events?: readonly RegistryEvent['action'][];
}

/** Longest wait for a receiver. */
const TIMEOUT_MS = 10_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 3_600_000;
/** How long a notification is tried. */
const GIVE_UP_MS = 3 * 24 * 3_600_000;
/** Notifications kept for one receiver that does not take them. */
const BACKLOG = 10_000;
/** Longest sleep: another process may have left something behind. */
const LOOK_MS = 60_000;
const BATCH = 20;

export interface WebhookSenderParts {
  readonly hooks: readonly Webhook[];
  readonly index: WebhookIndex;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Tells webhooks what happened, at least once each, trying again while a receiver does not answer. */
export class WebhookSender {
  readonly #parts: WebhookSenderParts;
  #wake: AbortController | undefined;

  constructor(parts: WebhookSenderParts) {
    this.#parts = parts;
  }

  /** Puts an event into the queue; resolves once it is there. */
  async notify(event: RegistryEvent): Promise<void> {
    const hooks = this.#parts.hooks.filter((hook) => hook.events?.includes(event.action) ?? true);
    if (hooks.length === 0) return;
    const body = eventEnvelope(event, this.#parts.clock.now());
    await this.#parts.index.addDeliveries(
      hooks.map((hook) => hook.name),
      body,
      BACKLOG,
    );
    this.#wake?.abort();
  }

  /** Sends until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { hooks, index, clock, logger } = this.#parts;
    if (hooks.length === 0) return;
    while (!signal.aborted) {
      this.#wake = new AbortController();
      try {
        const due = await index.takeDeliveries(BATCH, TIMEOUT_MS * 2);
        await Promise.all(due.map((delivery) => this.#deliver(delivery, signal)));
        if (due.length > 0) continue;
        const next = (await index.nextDelivery()) ?? Infinity;
        const pause = Math.max(Math.min(next - clock.now(), LOOK_MS), 0);
        await clock.sleep(pause, AbortSignal.any([signal, this.#wake.signal]));
      } catch (error) {
        if (signal.aborted || this.#wake.signal.aborted) continue;
        logger.error({ reason: messageOf(error) }, 'cannot send notifications');
        await clock.sleep(FIRST_PAUSE_MS, signal).catch(() => {});
      }
    }
  }

  async #deliver(delivery: WebhookDelivery, signal: AbortSignal): Promise<void> {
    const { hooks, index, clock, logger } = this.#parts;
    const hook = hooks.find(({ name }) => name === delivery.hook);
    if (hook === undefined) {
      await index.removeDelivery(delivery.id);
      return;
    }
    try {
      await post(hook, delivery, signal);
      await index.removeDelivery(delivery.id);
    } catch (error) {
      if (signal.aborted) return;
      const { attempts, createdAt } = delivery;
      const facts = { webhook: hook.name, attempts, reason: reasonOf(error) };
      if (clock.now() - createdAt > GIVE_UP_MS) {
        await index.removeDelivery(delivery.id);
        logger.error(facts, 'notification was given up');
        return;
      }
      const pause = Math.min(FIRST_PAUSE_MS * 2 ** (attempts - 1), LONGEST_PAUSE_MS);
      await index.postponeDelivery(delivery.id, clock.now() + pause);
      logger.warn(facts, 'notification was not taken');
    }
  }
}

async function post(hook: Webhook, delivery: WebhookDelivery, signal: AbortSignal): Promise<void> {
  const signature = hook.secret && createHmac('sha256', hook.secret).update(delivery.body).digest('hex');
  const answer = await fetch(hook.url, {
    method: 'POST',
    body: delivery.body,
    headers: {
      'content-type': EVENTS_TYPE,
      'user-agent': 'drayage-registry',
      'x-drayage-delivery': String(delivery.id),
      ...(signature === undefined ? {} : { 'x-drayage-signature': `sha256=${signature}` }),
    },
    // A receiver that moved has to be configured anew: the body is signed for this address.
    redirect: 'manual',
    signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
  });
  await answer.body?.cancel();
  if (!answer.ok) throw new Error(`receiver answered ${answer.status}`);
}

/** `fetch` says only that it failed; why is behind it. */
function reasonOf(error: unknown): string {
  const cause = error instanceof TypeError ? error.cause : undefined;
  return cause === undefined ? messageOf(error) : `${messageOf(error)}: ${messageOf(cause)}`;
}
