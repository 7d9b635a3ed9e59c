import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { ManualClock } from '../../src/base/manual-clock.ts';
import type { RegistryOptions } from '../../src/registry/registry.ts';
import type { Upstream } from '../../src/registry/proxy/upstreams.ts';
import { serveRegistry, type ServedRegistry } from './serve-registry.ts';

/** Handles a request in an upstream's place when it returns true. */
export type Meddle = (message: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;

/** A cache before a registry, with something between them that counts and can fail. */
export interface CachedRegistry {
  readonly upstream: ServedRegistry;
  readonly cache: ServedRegistry;
  readonly clock: ManualClock;
  /** Where the cache finds the upstream. */
  readonly url: string;
  /** Requests that reached the upstream: `GET /v2/…`. */
  readonly seen: string[];
  /** Handles a request in the upstream's place when it returns true. */
  meddle: Meddle;
}

/** Sets a cache before a registry. */
export async function serveCached(
  t: Pick<TestContext, 'after'>,
  options: {
    cache?: Partial<RegistryOptions>;
    upstream?: Partial<RegistryOptions>;
    as?: Partial<Upstream>;
  } = {},
): Promise<CachedRegistry> {
  const upstream = await serveRegistry(t, options.upstream);
  const seen: string[] = [];
  const made = {
    upstream,
    seen,
    clock: new ManualClock(Date.UTC(2026, 0, 1)),
    meddle: (() => false) as Meddle,
  };
  const between = createServer((message, response) => {
    seen.push(`${message.method} ${message.url}`);
    void (async () => {
      if (await made.meddle(message, response)) return;
      const { method, headers } = message;
      const onward = request(upstream.registry.url + message.url, { method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      });
      onward.on('error', () => response.destroy());
      message.pipe(onward);
    })();
  });
  between.listen(0, '127.0.0.1');
  await once(between, 'listening');
  t.after(() => {
    between.closeAllConnections();
    between.close();
  });
  const url = `http://127.0.0.1:${(between.address() as AddressInfo).port}`;
  const upstreams = [{ prefix: 'hub', registry: 'docker.io', url, ...options.as }];
  const cache = await serveRegistry(t, { upstreams, clock: made.clock, ...options.cache });
  return Object.assign(made, { cache, url });
}

/** Waits for `pending` while doing `meanwhile` again and again. */
export async function awaitWhile<T>(pending: Promise<T>, meanwhile: () => Promise<void>): Promise<T> {
  let waiting = true;
  const settled = pending.finally(() => {
    waiting = false;
  });
  while (waiting) await meanwhile();
  return settled;
}
