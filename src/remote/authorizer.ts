import { LruMap } from '../base/lru-map.ts';
import { parseChallenges, type Challenge } from './challenge.ts';
import type { Credential } from './credential.ts';
import type { Answer, Hop } from './exchange.ts';
import type { RegistryHost } from './host-config.ts';
import { mayShowCredential } from './realm.ts';
import { RemoteError } from './remote-error.ts';
import { normalizeScopes } from './scope.ts';
import {
  basicAuthorization,
  secretOf,
  userOf,
  type TokenRequest,
  type TokenService,
} from './token-service.ts';

/** How a host asked to be addressed the last time. */
export type Scheme =
  | { readonly kind: 'basic' }
  | { readonly kind: 'bearer'; readonly realm: string; readonly service: string };

/** Schemes remembered between operations, so that a held token saves the first refusal. */
export class SchemeMemory extends LruMap<string, Scheme> {
  constructor() {
    super(1_000);
  }
}

/** An `Authorization` header, and whether it was made for the request at hand. */
export interface Presented {
  readonly header: string;
  readonly fresh: boolean;
  /** Name of the credential behind it; undefined for an anonymous token. */
  readonly credential: string | undefined;
}

/** How long a server's own error text may get inside ours. */
const MAX_SERVER_TEXT = 64;

/**
 * Answers one host's challenges within one operation. It shows the credential to that host and to its own token service
 * and to nobody else.
 */
export class Authorizer {
  readonly #host: RegistryHost;
  readonly #tokens: TokenService;
  readonly #memory: SchemeMemory;
  readonly #credential: () => Promise<Credential | undefined>;
  readonly #observe: ((hop: Hop) => void) | undefined;
  #scheme: Scheme | undefined;
  #extraScopes: readonly string[] = [];
  #basicRefused = false;
  #challenged = false;
  #withheld = false;

  constructor(
    host: RegistryHost,
    tokens: TokenService,
    memory: SchemeMemory,
    credential: () => Promise<Credential | undefined>,
    observe?: (hop: Hop) => void,
  ) {
    this.#observe = observe;
    this.#host = host;
    this.#tokens = tokens;
    this.#memory = memory;
    this.#credential = credential;
    this.#scheme = memory.get(keyOf(host));
  }

  /** True when the credential was kept back from a token service outside the registry's domain. */
  get withheld(): boolean {
    return this.#withheld;
  }

  /**
   * Returns what to present with a request; undefined for nothing. A host known only from an earlier operation gets a token
   * that is already held, or nothing: its public repositories may need none.
   *
   * @throws RemoteError `failed to authorize: …`
   */
  async present(scopes: readonly string[], signal: AbortSignal): Promise<Presented | undefined> {
    const scheme = this.#scheme;
    if (scheme === undefined) return undefined;
    const credential = await this.#credential();
    if (scheme.kind === 'basic') {
      if (!hasBasic(credential) || this.#basicRefused) return undefined;
      return { header: basicAuthorization(credential), fresh: true, credential: credential.name };
    }
    const own = credential?.registryToken ?? '';
    if (own !== '') return { header: `Bearer ${own}`, fresh: true, credential: credential?.name };
    const request = this.#tokenRequest(scheme, scopes, credential);
    const name = request.credential?.name;
    const kept = this.#tokens.kept(request);
    if (kept !== undefined) return { header: `Bearer ${kept}`, fresh: false, credential: name };
    if (!this.#challenged) return undefined;
    try {
      return { header: `Bearer ${await this.#tokens.fetch(request, signal)}`, fresh: true, credential: name };
    } catch (error) {
      throw error instanceof RemoteError ? error.wrap('failed to authorize') : error;
    }
  }

  /**
   * Takes in a 401 and returns whether sending again can help.
   *
   * @param sent what was refused
   * @throws RemoteError `authorization failed` texts as in rules 17.9 and 17.11
   */
  async learn(answer: Answer, scopes: readonly string[], sent: Presented | undefined): Promise<boolean> {
    for (const challenge of parseChallenges(answer.headers['www-authenticate'])) {
      if (challenge.scheme === 'bearer') return this.#learnBearer(challenge, scopes, sent);
      if (challenge.scheme === 'basic') return this.#learnBasic(sent);
    }
    return false;
  }

  async #learnBearer(
    challenge: Challenge,
    scopes: readonly string[],
    sent: Presented | undefined,
  ): Promise<boolean> {
    const realm = challenge.parameters.get('realm');
    if (realm === undefined)
      throw new RemoteError('BAD_RESPONSE', 'no realm specified for token auth challenge');
    if (URL.parse(realm) === null)
      throw new RemoteError('BAD_RESPONSE', 'invalid token auth challenge realm: it is not a URL');
    const credential = await this.#credential();
    const wanted = challenge.parameters.get('scope') ?? '';
    const widened = !covers(this.#scopesFor(scopes), wanted);
    const scheme = { kind: 'bearer', realm, service: challenge.parameters.get('service') ?? '' } as const;
    this.#extraScopes = normalizeScopes([...this.#extraScopes, wanted]);
    this.#scheme = scheme;
    this.#challenged = true;
    this.#memory.set(keyOf(this.#host), scheme);
    if (sent === undefined) return true;
    this.#tokens.forget(this.#tokenRequest(scheme, scopes, credential));
    // A held token may have ended meanwhile, and one for less than is wanted can be widened: both once, since what is
    // presented next is fresh and covers what was asked.
    if (credential?.registryToken === undefined && (!sent.fresh || widened)) return true;
    if (challenge.parameters.has('error')) throw refused(challenge);
    return false;
  }

  async #learnBasic(sent: Presented | undefined): Promise<boolean> {
    const credential = await this.#credential();
    if (!hasBasic(credential))
      throw new RemoteError('UNAUTHORIZED', 'authorization failed: no basic auth credentials', {
        status: 401,
      });
    this.#scheme = { kind: 'basic' };
    this.#memory.set(keyOf(this.#host), this.#scheme);
    // Sending a refused password again helps nobody and can lock the account.
    if (sent?.header === basicAuthorization(credential)) {
      this.#basicRefused = true;
      return false;
    }
    return true;
  }

  #scopesFor(scopes: readonly string[]): string[] {
    return normalizeScopes([...scopes, ...this.#extraScopes]);
  }

  #tokenRequest(
    scheme: Scheme & { kind: 'bearer' },
    scopes: readonly string[],
    credential: Credential | undefined,
  ): TokenRequest {
    const registry = new URL(`${this.#host.scheme}://${this.#host.host}`);
    const realm = new URL(scheme.realm);
    const isNamed = realm.protocol === 'https:' && this.#host.tokenServices?.includes(realm.host) === true;
    const show = secretOf(credential) === '' || isNamed || mayShowCredential(registry, realm);
    this.#withheld = !show;
    return {
      host: this.#host,
      realm: scheme.realm,
      service: scheme.service,
      scopes: this.#scopesFor(scopes),
      credential: show ? credential : undefined,
      observe: this.#observe,
    };
  }
}

function hasBasic(credential: Credential | undefined): credential is Credential {
  return userOf(credential) !== '' && secretOf(credential) !== '';
}

function covers(have: readonly string[], asked: string): boolean {
  return normalizeScopes([...have, asked]).join(' ') === have.join(' ');
}

function refused(challenge: Challenge): RemoteError {
  const error = challenge.parameters.get('error');
  const text =
    error === undefined ? 'authorization failed' : `server message: ${cut(error)}: authorization failed`;
  return new RemoteError('UNAUTHORIZED', text, { status: 401 });
}

function cut(text: string): string {
  return text.length > MAX_SERVER_TEXT ? `${text.slice(0, MAX_SERVER_TEXT)}...` : text;
}

function keyOf(host: RegistryHost): string {
  return `${host.scheme}://${host.host}${host.path}`;
}
