import type { Clock } from '../../base/clock.ts';
import { createRemoteClient, type RemoteClient } from '../../remote/remote-client.ts';
import { RemoteError } from '../../remote/remote-error.ts';
import type { RepositorySession } from '../../remote/repository-session.ts';
import type { RegistryMetrics } from '../http/registry-metrics.ts';
import { UpstreamLimits } from './upstream-limits.ts';
import { upstreamCredential, upstreamHosts, type Upstream, type UpstreamRepository } from './upstreams.ts';

/** Longest wait for an upstream's word before what is here is served. */
const ANSWER_TIMEOUT_MS = 15_000;

/** Speaks with upstreams on behalf of the cache, and ends all of it when the cache closes. */
export class UpstreamConnections {
  readonly #clock: Clock;
  readonly #client: RemoteClient;
  readonly #stop = new AbortController();
  readonly #limits: ReadonlyMap<string, UpstreamLimits>;

  constructor(upstreams: readonly Upstream[], clock: Clock, metrics: RegistryMetrics) {
    this.#clock = clock;
    this.#client = createRemoteClient({
      hosts: upstreamHosts(upstreams),
      clock,
      userAgent: 'drayage-registry',
    });
    this.#limits = new Map(upstreams.map(({ prefix }) => [prefix, new UpstreamLimits(metrics, prefix)]));
  }

  /** Aborts when the cache closes. */
  get closing(): AbortSignal {
    return this.#stop.signal;
  }

  /** Opens a repository of an upstream for one operation. */
  session({ upstream, remote }: UpstreamRepository): RepositorySession {
    const credential = upstreamCredential(upstream);
    const credentials = async (): Promise<typeof credential> => credential;
    const observe = this.#limits.get(upstream.prefix)?.observe;
    return this.#client.repository(upstream.prefix, remote, { credentials, observe });
  }

  /** What the upstream last said about its limits, as headers. */
  limits({ upstream }: UpstreamRepository): Readonly<Record<string, string>> {
    return this.#limits.get(upstream.prefix)?.headers ?? {};
  }

  /** Runs a task that must not keep a client waiting for long. @throws RemoteError `TIMEOUT` */
  async withinTime<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = new AbortController();
    const done = new AbortController();
    this.#clock.sleep(ANSWER_TIMEOUT_MS, done.signal).then(
      () => late.abort(new RemoteError('TIMEOUT', `no answer within ${ANSWER_TIMEOUT_MS / 1000} s`)),
      () => {},
    );
    try {
      return await task(AbortSignal.any([this.#stop.signal, late.signal]));
    } catch (error) {
      throw late.signal.aborted ? late.signal.reason : error;
    } finally {
      done.abort();
    }
  }

  /** Ends what is under way. */
  stop(): void {
    this.#stop.abort(new Error('the registry closes'));
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}
