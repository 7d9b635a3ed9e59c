import type { Hop } from '../../remote/exchange.ts';
import type { RegistryMetrics } from '../http/registry-metrics.ts';

/** Reads the number that a header begins with, or that one of its parameters has: `100;w=21600`, `"pull";r=76;t=30`. */
function amountIn(header: string | undefined, parameter: string): number | undefined {
  const found = new RegExp(`^\\s*(\\d{1,15})|;\\s*${parameter}=(\\d{1,15})`).exec(header ?? '');
  const text = found?.[1] ?? found?.[2];
  return text === undefined ? undefined : Number(text);
}

/**
 * Remembers what an upstream last said of how much more it lets be pulled, for metrics and for clients.
 *
 * @see Docker Hub's `ratelimit-limit` and `ratelimit-remaining`; draft-ietf-httpapi-ratelimit-headers
 */
export class UpstreamLimits {
  readonly #metrics: Pick<RegistryMetrics, 'upstreamLimit'>;
  readonly #prefix: string;
  #headers: Readonly<Record<string, string>> = {};

  constructor(metrics: Pick<RegistryMetrics, 'upstreamLimit'>, prefix: string) {
    this.#metrics = metrics;
    this.#prefix = prefix;
  }

  /** Headers about limits that the last answer which had any came with. */
  get headers(): Readonly<Record<string, string>> {
    return this.#headers;
  }

  /** Looks at one answer of the upstream. */
  readonly observe = (hop: Hop): void => {
    if (hop.limits === undefined) return;
    this.#headers = hop.limits;
    const { limits } = hop;
    this.#metrics.upstreamLimit(this.#prefix, {
      limit: amountIn(limits['ratelimit-limit'] ?? limits['ratelimit-policy'], 'q'),
      remaining: amountIn(limits['ratelimit-remaining'] ?? limits['ratelimit'], 'r'),
    });
  };
}
