/** A notification that a receiver has not taken yet. */
export interface WebhookDelivery {
  readonly id: number;
  /** Name of the webhook in the configuration. */
  readonly hook: string;
  readonly body: string;
  readonly attempts: number;
  readonly createdAt: number;
}

/** Keeps notifications until their receivers have them, over restarts. */
export interface WebhookIndex {
  /** Adds a notification for each hook; the oldest beyond `limit` a hook are dropped. */
  addDeliveries(hooks: readonly string[], body: string, limit: number): Promise<void>;
  /** Takes what is due for `leaseMs`: meanwhile no other process gets it. */
  takeDeliveries(limit: number, leaseMs: number): Promise<WebhookDelivery[]>;
  /** Time at which something is due next. */
  nextDelivery(): Promise<number | undefined>;
  /** Puts a delivery off. */
  postponeDelivery(id: number, until: number): Promise<void>;
  removeDelivery(id: number): Promise<void>;
}
