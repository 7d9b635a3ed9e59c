import type { Clock } from '../base/clock.ts';
import { Authorizer, type SchemeMemory } from './authorizer.ts';
import type { Bandwidth } from './bandwidth.ts';
import type { Credential, CredentialSource } from './credential.ts';
import {
  drain,
  type Answer,
  type Exchanger,
  type Hop,
  type Method,
  type RequestBody,
  type RequestPurpose,
} from './exchange.ts';
import type { HostResolver, RegistryHost } from './host-config.ts';
import { retryAfter } from './registry-answer.ts';
import { RemoteError } from './remote-error.ts';
import { retryDelay } from './retry-policy.ts';
import { repositoryScope } from './scope.ts';
import type { TokenService } from './token-service.ts';

/** What all operations of one client share. */
export interface RemoteContext {
  readonly exchanger: Exchanger;
  readonly tokens: TokenService;
  readonly memory: SchemeMemory;
  readonly hosts: HostResolver;
  readonly clock: Clock;
  readonly random: () => number;
  readonly userAgent: string;
  /** Whether every mirror may be shown the credential of the registry it stands for. */
  readonly forwardCredentials: boolean;
  readonly bandwidth: Bandwidth;
}

/** One host of a registry, with the authorisation state of this operation. */
export interface HostSession {
  readonly host: RegistryHost;
  readonly authorizer: Authorizer;
}

/** One request to a repository on one host. */
export interface RepositoryRequest {
  readonly method: Method;
  /** Path below the repository, `manifests/latest`; or a whole URL, for the locations that a registry hands out. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Makes the body anew for each attempt; a request with one that cannot be made twice sets `once`. */
  readonly body?: () => RequestBody;
  readonly once?: boolean;
  readonly scopes?: readonly string[];
}

/** One repository of one registry, for one operation on behalf of one credential. */
export class RepositorySession {
  readonly registry: string;
  readonly repository: string;
  readonly #context: RemoteContext;
  readonly #credentials: CredentialSource | undefined;
  readonly #observe: ((hop: Hop) => void) | undefined;
  readonly #actions: 'pull' | 'pull,push' | 'delete';
  #hosts: Promise<readonly HostSession[]> | undefined;

  constructor(
    context: RemoteContext,
    registry: string,
    repository: string,
    options: {
      credentials?: CredentialSource | undefined;
      observe?: ((hop: Hop) => void) | undefined;
      actions?: 'pull' | 'pull,push' | 'delete';
    },
  ) {
    this.#context = context;
    this.registry = registry;
    this.repository = repository;
    this.#credentials = options.credentials;
    this.#observe = options.observe;
    this.#actions = options.actions ?? 'pull';
  }

  /** What the bytes of blobs have to keep to. */
  get bandwidth(): Bandwidth {
    return this.#context.bandwidth;
  }

  /** Returns the hosts to try, in order; read once for the operation (rule 16.4). */
  hosts(): Promise<readonly HostSession[]> {
    this.#hosts ??= this.#openHosts();
    return this.#hosts;
  }

  /**
   * Sends to one host, answering its challenges and trying again where that can help (rule 17.4). Any status may come back.
   *
   * @throws RemoteError when no answer came or the credential was refused; the signal's reason when it aborted
   */
  async send(
    session: HostSession,
    request: RepositoryRequest,
    lastHost: boolean,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { clock, exchanger, random, userAgent } = this.#context;
    const { host, authorizer } = session;
    const url = this.#urlOf(host, request);
    // A location on another host is the registry's storage: it gets what it signed, and nothing of ours.
    const foreign = isForeign(new URL(url), host);
    const scopes = request.scopes ?? [repositoryScope(this.repository, this.#actions)];
    for (let attempt = 1; ; attempt++) {
      const presented = foreign ? undefined : await authorizer.present(scopes, signal);
      const outcome = await exchanger
        .send({
          method: request.method,
          url,
          purpose: purposeOf(request.path),
          headers: {
            'user-agent': userAgent,
            // A layer's digest is over its bytes as stored; no coding may be laid over them.
            'accept-encoding': 'identity',
            ...(foreign ? {} : host.headers),
            ...request.headers,
            ...(presented === undefined ? {} : { authorization: presented.header }),
          },
          body: request.body?.(),
          host: foreign ? { ...host, clientCertificates: [] } : host,
          signal,
          credential: presented?.credential,
          observe: this.#observe,
        })
        .catch((error: unknown) => {
          if (error instanceof RemoteError) return error.wrap('failed to do request');
          throw error;
        });
      if (outcome instanceof RemoteError) {
        const wait =
          request.once === true
            ? undefined
            : retryDelay({ kind: 'transport', error: outcome }, attempt, lastHost, random());
        if (wait === undefined) throw outcome;
        await clock.sleep(wait, signal);
        continue;
      }
      if (outcome.status === 401 && !foreign && request.once !== true) {
        const again = await this.#learn(session, outcome, scopes, presented);
        if (!again || attempt >= 5) return outcome;
        await drain(outcome);
        continue;
      }
      const wait =
        request.once === true
          ? undefined
          : retryDelay(
              {
                kind: 'status',
                status: outcome.status,
                retryAfterMs: retryAfter(outcome, clock.now()),
              },
              attempt,
              lastHost,
              random(),
            );
      if (wait === undefined) return outcome;
      await drain(outcome);
      await clock.sleep(wait, signal);
    }
  }

  async #learn(
    session: HostSession,
    answer: Answer,
    scopes: readonly string[],
    presented: Awaited<ReturnType<Authorizer['present']>>,
  ): Promise<boolean> {
    try {
      return await session.authorizer.learn(answer, scopes, presented);
    } catch (error) {
      await drain(answer);
      if (error instanceof RemoteError && error.code === 'UNAUTHORIZED') {
        const access = this.#actions === 'pull' ? 'pull' : 'push';
        throw error.wrap(`${access} access denied, repository does not exist or may require authorization`);
      }
      throw error;
    }
  }

  #urlOf(host: RegistryHost, request: RepositoryRequest): string {
    const whole = /^https?:\/\//.test(request.path);
    const base = whole
      ? request.path
      : `${host.scheme}://${host.host}${host.path}/${this.repository}/${request.path}`;
    const query = new URLSearchParams(request.query);
    // Tells a mirror that serves several registries which one is meant (rule 16.13).
    if (host.mirror && !whole) query.set('ns', this.registry);
    const text = query.toString();
    if (text === '') return base;
    return `${base}${base.includes('?') ? '&' : '?'}${text}`;
  }

  async #openHosts(): Promise<readonly HostSession[]> {
    const { tokens, memory } = this.#context;
    const hosts = await this.#context.hosts(this.registry);
    return hosts.map((host) => ({
      host,
      authorizer: new Authorizer(host, tokens, memory, this.#credentialFor(host), this.#observe),
    }));
  }

  /** A mirror has its own credential or none: the origin's is a secret between us and the origin, unless configured otherwise. */
  #credentialFor(host: RegistryHost): () => Promise<Credential | undefined> {
    const forward = this.#context.forwardCredentials || host.forwardCredentials === true;
    const owner = host.mirror && !forward ? host.host : this.registry;
    let found: Promise<Credential | undefined> | undefined;
    return () => {
      found ??= this.#credentials?.(owner, this.repository) ?? Promise.resolve(undefined);
      return found;
    };
  }
}

function purposeOf(path: string): RequestPurpose {
  if (path.startsWith('manifests/')) return 'manifest';
  return path.startsWith('blobs/') ? 'blob' : 'other';
}

/** Tells whether a location is not the host's own. The same name in the clear is not, unless the host may be spoken to so. */
function isForeign(url: URL, host: RegistryHost): boolean {
  const own = new URL(`${host.scheme}://${host.host}`);
  if (url.host !== own.host) return true;
  return url.protocol !== own.protocol && url.protocol === 'http:' && host.fallbackToHttp !== true;
}
