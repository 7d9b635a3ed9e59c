import { createHash } from 'node:crypto';
import { systemClock, type Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/coded-error.ts';
import { goQuote } from '../../base/go-quote.ts';
import { SingleFlight } from '../../base/single-flight.ts';
import type { Traced, TraceStep } from '../../base/trace.ts';
import type { PodIdentity, ProviderEntries } from '../candidates.ts';
import { CredentialError } from '../credential-error.ts';
import type { DockerConfig } from '../docker-config.ts';
import { keyringEntries, type CandidateSource, type KeyringEntry } from '../keyring.ts';
import { execPlugin, PluginRunError } from './_exec-plugin.ts';
import { matchImages } from './_match-images.ts';
import { accountKey, cacheKey, ResponseCache, type CacheScope } from './_response-cache.ts';
import type { ProviderConfig } from './provider-config.ts';
import { decodeProviderResponse, encodeProviderRequest, type ProviderResponse } from './provider-protocol.ts';
import { decideAccount, type ServiceAccountIdentity, type ServiceAccountSource } from './service-accounts.ts';
import { ServiceAccountTokens } from './service-account-tokens.ts';

/** Hears what metrics and logs tell of plug-ins; every method is optional. */
export interface ProviderObserver {
  /** One run: `kubelet_credential_provider_plugin_duration`, and `…_plugin_errors_total` when it failed. */
  executed?(provider: string, seconds: number, failed: boolean): void;
  /** A provider gave no credentials; the message holds no secret. */
  failed?(provider: string, message: string): void;
  /** `kubelet_credential_provider_config_info`. */
  configured?(hash: string): void;
}

export interface CredentialProvidersOptions {
  /** Where the executables lie, named as their providers. */
  readonly binDirectory: string;
  /** Default: the process's. */
  readonly environment?: NodeJS.ProcessEnv;
  readonly clock?: Clock;
  readonly serviceAccounts?: ServiceAccountSource;
  readonly observer?: ProviderObserver;
}

/** How one provider answered, for `dray credential-provider test`. */
export interface ProviderOutcome {
  readonly provider: string;
  /** The pattern of `matchImages` that matched; undefined: the provider is not run. */
  readonly matched: string | undefined;
  readonly from: 'nothing' | 'cache' | 'exec';
  readonly auth: DockerConfig;
  readonly source: CandidateSource;
  /** How the run ended: `exit status 0`, `exit status 1`, `context deadline exceeded`; undefined: nothing was run. */
  readonly exit: string | undefined;
  /** Redacted error output of a run, also of one that ended well. */
  readonly stderr: string | undefined;
  readonly error: CredentialError | undefined;
  readonly cache:
    | { readonly scope: CacheScope; readonly key: string; readonly expiresAt: number }
    | undefined;
  readonly trace: readonly TraceStep[];
}

interface Provider {
  readonly config: ProviderConfig;
  readonly cache: ResponseCache;
  readonly flights: SingleFlight<string, { response: ProviderResponse; stderr: string }>;
}

/** The credential-provider plug-ins of a node (section 9). `close` ends those that run. */
export class CredentialProviders implements ProviderEntries {
  readonly #providers: readonly Provider[];
  readonly #options: CredentialProvidersOptions;
  readonly #clock: Clock;
  readonly #tokens: ServiceAccountTokens | undefined;
  readonly #closing = new AbortController();

  constructor(configs: readonly ProviderConfig[], options: CredentialProvidersOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#tokens =
      options.serviceAccounts === undefined
        ? undefined
        : new ServiceAccountTokens(options.serviceAccounts, this.#clock);
    this.#providers = configs.map((config) => ({
      config,
      cache: new ResponseCache(this.#clock),
      flights: new SingleFlight(),
    }));
  }

  /**
   * Asks every provider that matches, in the order of the configuration; the answers share one keyring (9.7). A provider that
   * fails gives nothing and does not keep the others from answering (9.11).
   */
  async entriesFor(
    repository: string,
    pod: PodIdentity | undefined,
    signal: AbortSignal,
  ): Promise<Traced<readonly KeyringEntry[]>> {
    const outcomes = await this.ask(repository, pod, signal);
    return {
      result: outcomes.flatMap((outcome) => keyringEntries(outcome.auth, outcome.source)),
      trace: outcomes.flatMap((outcome) => outcome.trace),
    };
  }

  /** Asks as {@link entriesFor} and tells how each provider answered. */
  async ask(
    repository: string,
    pod: PodIdentity | undefined,
    signal: AbortSignal,
  ): Promise<ProviderOutcome[]> {
    const outcomes: ProviderOutcome[] = [];
    for (const provider of this.#providers)
      outcomes.push(await this.#askOne(provider, repository, pod, signal));
    return outcomes;
  }

  /** Ends running plug-ins; what waits for them gets no credentials. */
  close(): void {
    this.#closing.abort();
  }

  async #askOne(
    provider: Provider,
    image: string,
    pod: PodIdentity | undefined,
    signal: AbortSignal,
  ): Promise<ProviderOutcome> {
    const { name } = provider.config;
    const source: CandidateSource = { kind: 'provider', provider: name };
    const trace: TraceStep[] = [];
    const says = (rule: string, text: string): void =>
      void trace.push({ rule, says: text, source: `credential provider ${name}` });
    const nothing = { provider: name, from: 'nothing', auth: new Map(), source, trace } as const;
    const silent = { exit: undefined, stderr: undefined, error: undefined, cache: undefined };

    const matched = matchImages(provider.config, image, says);
    if (matched === undefined) return { ...nothing, ...silent, matched };
    try {
      const decision = await decideAccount(
        provider.config.tokenAttributes,
        pod,
        this.#options.serviceAccounts,
        signal,
      );
      if (decision.kind === 'skip') {
        says(decision.rule, `skipped: ${decision.says}`);
        return { ...nothing, ...silent, matched };
      }
      const account = decision.kind === 'with-account' ? decision.account : undefined;
      return {
        ...nothing,
        ...silent,
        matched,
        ...(await this.#answer(provider, image, pod, account, says, signal)),
      };
    } catch (error) {
      signal.throwIfAborted();
      const failure =
        error instanceof CredentialError
          ? error
          : new CredentialError('PROVIDER_FAILED', messageOf(error), { cause: error });
      this.#options.observer?.failed?.(name, failure.message);
      says('9.11', `gives no credentials: ${failure.message}`);
      const ran = failure instanceof PluginRunError ? { exit: failure.exit, stderr: failure.stderr } : {};
      return { ...nothing, ...silent, ...ran, matched, error: failure };
    }
  }

  async #answer(
    provider: Provider,
    image: string,
    pod: PodIdentity | undefined,
    account: ServiceAccountIdentity | undefined,
    says: (rule: string, text: string) => void,
    signal: AbortSignal,
  ): Promise<Pick<ProviderOutcome, 'from' | 'auth' | 'source' | 'exit' | 'stderr' | 'cache'>> {
    const { config, cache, flights } = provider;
    const source = sourceOf(config, account);
    const token = account === undefined ? undefined : await this.#token(config, account, pod, signal);
    const perToken = config.tokenAttributes?.cacheType === 'Token';
    const part = account === undefined ? '' : accountKey(account, perToken ? token : undefined);
    const cached = cache.get(image, part);
    if (cached !== undefined) {
      says('9.13', `answer for ${cached.key} is cached: ${cached.answer.auth.size} entries`);
      const { scope, key } = cached;
      const { auth, expiresAt } = cached.answer;
      return {
        from: 'cache',
        auth,
        source,
        exit: undefined,
        stderr: undefined,
        cache: { scope, key, expiresAt },
      };
    }

    const flight = JSON.stringify([image, token === undefined ? '' : sha256(token), part]);
    const joined = flights.has(flight);
    const running = flights.do(flight, () => this.#exec(config, image, token, account));
    const { response, stderr } = await abortable(running, signal);
    const { auth } = response;
    const scope = scopeOf(response.cacheKeyType);
    if (token !== undefined && !perToken && [...auth.values()].some(({ password }) => password === token)) {
      throw new CredentialError(
        'PROVIDER_FAILED',
        "credential provider plugin returned the service account token as the password which is not allowed when service account cache type is not set to 'Token'",
      );
    }
    const how = joined ? 'joined a run under way' : 'run';
    says('9.8', `${how}: ${auth.size} entries, cache key type ${scope}`);
    const ran = { from: 'exec', auth, source, exit: 'exit status 0', stderr } as const;
    const duration = response.cacheDurationMs ?? config.defaultCacheDurationMs ?? 0;
    if (duration === 0) {
      says('9.14', 'not cached');
      return { ...ran, cache: undefined };
    }
    const expiresAt = this.#clock.now() + duration;
    cache.set(scope, image, part, { auth, expiresAt });
    const key = cacheKey(scope, image);
    says('9.14', `cached for ${key} until ${new Date(expiresAt).toISOString()}`);
    return { ...ran, cache: { scope, key, expiresAt } };
  }

  async #token(
    config: ProviderConfig,
    account: ServiceAccountIdentity,
    pod: PodIdentity | undefined,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    if (pod === undefined || this.#tokens === undefined) return undefined;
    const request = {
      namespace: account.namespace,
      serviceAccountName: account.name,
      serviceAccountUid: account.uid,
      audience: config.tokenAttributes?.serviceAccountTokenAudience ?? '',
      pod: { name: pod.name, uid: pod.uid },
    };
    return this.#tokens.token(request, signal);
  }

  async #exec(
    provider: ProviderConfig,
    image: string,
    token: string | undefined,
    account: ServiceAccountIdentity | undefined,
  ): Promise<{ response: ProviderResponse; stderr: string }> {
    const stdin = encodeProviderRequest(provider.apiVersion, {
      image,
      ...(token !== undefined && { serviceAccountToken: token }),
      ...(account !== undefined && { serviceAccountAnnotations: account.annotations }),
    });
    const started = this.#clock.now();
    let failed = true;
    try {
      const output = await execPlugin(
        {
          provider,
          binDirectory: this.#options.binDirectory,
          environment: this.#options.environment ?? process.env,
          image,
          stdin,
          secrets: [...(token === undefined ? [] : [token]), ...secretValues(provider)],
          clock: this.#clock,
        },
        this.#closing.signal,
      );
      failed = false;
      return { response: decodeProviderResponse(provider.apiVersion, output.stdout), stderr: output.stderr };
    } finally {
      // Only a failed run counts as an error of the plug-in; an answer that cannot be decoded does not (section 14).
      this.#options.observer?.executed?.(provider.name, (this.#clock.now() - started) / 1000, failed);
    }
  }
}

function sourceOf(
  { name: provider }: ProviderConfig,
  account: ServiceAccountIdentity | undefined,
): CandidateSource {
  if (account === undefined) return { kind: 'provider', provider };
  const { namespace, name, uid } = account;
  return { kind: 'service-account', namespace, name, uid, provider };
}

function scopeOf(cacheKeyType: string): CacheScope {
  if (cacheKeyType === 'Image' || cacheKeyType === 'Registry' || cacheKeyType === 'Global')
    return cacheKeyType;
  throw new CredentialError(
    'PROVIDER_FAILED',
    `credential provider plugin did not return a valid cacheKeyType: ${goQuote(cacheKeyType.slice(0, 40))}`,
  );
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Waits for a run that others may share: whoever gives up leaves it running. */
function abortable<T>(running: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    running.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** Values of the configured environment that are secrets by their names. */
function secretValues(provider: ProviderConfig): string[] {
  return provider.env.filter(({ name }) => /key|secret|token|passw/i.test(name)).map(({ value }) => value);
}
