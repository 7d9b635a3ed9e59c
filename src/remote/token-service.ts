import { createHmac, randomBytes } from 'node:crypto';
import { systemClock, type Clock } from '../base/clock.ts';
import { messageOf } from '../base/coded-error.ts';
import { LruMap } from '../base/lru-map.ts';
import { SingleFlight } from '../base/single-flight.ts';
import { parseGoJson } from '../credentials/go-json.ts';
import type { Credential } from './credential.ts';
import { readBody, type Exchanger, type Hop } from './exchange.ts';
import type { RegistryHost } from './host-config.ts';
import { unexpectedStatus } from './registry-answer.ts';
import { RemoteError } from './remote-error.ts';

/** Tokens remembered: one for each repository and credential lately used. */
const MAX_TOKENS = 1_000;

/** A token answer is a few kilobytes of JSON; more is not one. */
const MAX_TOKEN_BYTES = 1024 * 1024;

/** Life of a token whose answer does not say, in seconds. @see distribution, token authentication, `expires_in` */
const DEFAULT_LIFE_SECONDS = 60;

/** A token is renewed this long before it ends, or at four fifths of its life if that is later, so that it never ends on the way. */
const RENEWAL_MARGIN_MS = 15_000;

/** Where and for what a token is asked. */
export interface TokenRequest {
  /** The host the token is for; part of the key, so that a token never serves another host. */
  readonly host: RegistryHost;
  readonly realm: string;
  readonly service: string;
  /** Normalised. */
  readonly scopes: readonly string[];
  readonly credential: Credential | undefined;
  readonly observe?: ((hop: Hop) => void) | undefined;
}

interface Token {
  readonly value: string;
  /** Milliseconds since the epoch at which it is renewed. */
  readonly renewAt: number;
}

/** Exchanges credentials for tokens and remembers them by host, service, scopes and credential. */
export class TokenService {
  readonly #exchanger: Exchanger;
  readonly #clock: Clock;
  readonly #tokens = new LruMap<string, Token>(MAX_TOKENS);
  readonly #flights = new SingleFlight<string, Token>();
  /** Secrets are only compared, so they are kept as keyed digests with a key that dies with the process. */
  readonly #key = randomBytes(32);

  constructor(exchanger: Exchanger, clock: Clock = systemClock) {
    this.#exchanger = exchanger;
    this.#clock = clock;
  }

  /** Returns a remembered token that is still good. */
  kept(request: TokenRequest): string | undefined {
    const token = this.#tokens.get(this.#keyOf(request));
    return token !== undefined && this.#clock.now() < token.renewAt ? token.value : undefined;
  }

  /** Forgets a token that a registry refused. */
  forget(request: TokenRequest): void {
    this.#tokens.delete(this.#keyOf(request));
  }

  /** Fetches a new token; identical requests under way are joined. @throws RemoteError worded as rule 17.12 */
  async fetch(request: TokenRequest, signal: AbortSignal): Promise<string> {
    const key = this.#keyOf(request);
    const token = await this.#flights
      .do(key, () => this.#fetch(request, signal))
      .catch((error: unknown) => {
        signal.throwIfAborted();
        // The flight was another caller's and ended with that caller's signal: this one still wants its token.
        if (!(error instanceof RemoteError)) return this.#fetch(request, signal);
        throw error;
      });
    if (this.#clock.now() < token.renewAt) this.#tokens.set(key, token);
    return token.value;
  }

  async #fetch(request: TokenRequest, signal: AbortSignal): Promise<Token> {
    if (secretOf(request.credential) === '') {
      return this.#get(request, undefined, signal).catch(prefixed('failed to fetch anonymous token'));
    }
    return this.#withSecret(request, signal).catch(prefixed('failed to fetch oauth token'));
  }

  /** POST as OAuth2 first; services that know only the older form say so with a status (rule 17.9). */
  async #withSecret(request: TokenRequest, signal: AbortSignal): Promise<Token> {
    try {
      return await this.#post(request, signal);
    } catch (error) {
      if (!(error instanceof RemoteError) || error.status === undefined) throw error;
      const hasUser = userOf(request.credential) !== '';
      const old = [400, 401, 404].includes(error.status) || (error.status === 405 && hasUser);
      if (!old) throw error;
    }
    return this.#get(request, request.credential, signal);
  }

  async #post(request: TokenRequest, signal: AbortSignal): Promise<Token> {
    const { credential } = request;
    const form = new URLSearchParams();
    if (request.scopes.length > 0) form.set('scope', request.scopes.join(' '));
    form.set('service', request.service);
    form.set('client_id', 'drayage');
    const user = userOf(credential);
    if (user === '') {
      form.set('grant_type', 'refresh_token');
      form.set('refresh_token', secretOf(credential));
    } else {
      form.set('grant_type', 'password');
      form.set('username', user);
      form.set('password', secretOf(credential));
    }
    return this.#ask(request, signal, {
      method: 'POST',
      url: request.realm,
      headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
      body: form.toString(),
    });
  }

  async #get(request: TokenRequest, credential: Credential | undefined, signal: AbortSignal): Promise<Token> {
    const url = new URL(request.realm);
    for (const scope of request.scopes) url.searchParams.append('scope', scope);
    if (request.service !== '') url.searchParams.set('service', request.service);
    const headers: Record<string, string> = {};
    if (credential !== undefined) headers['authorization'] = basicAuthorization(credential);
    return this.#ask(request, signal, { method: 'GET', url: url.href, headers });
  }

  async #ask(
    request: TokenRequest,
    signal: AbortSignal,
    http: { method: 'GET' | 'POST'; url: string; headers: Record<string, string>; body?: string },
  ): Promise<Token> {
    const asked = this.#clock.now();
    const sameHost = new URL(http.url).host === request.host.host.toLowerCase();
    const answer = await this.#exchanger.send({
      ...http,
      headers: { accept: 'application/json', ...http.headers },
      // A client certificate identifies us to the registry, not to whoever runs its token service.
      host: sameHost ? request.host : { ...request.host, clientCertificates: [] },
      signal,
      purpose: 'token',
      credential: request.credential?.name,
      observe: request.observe,
    });
    if (answer.status < 200 || answer.status >= 400) throw await unexpectedStatus(answer);
    return readToken((await readBody(answer, MAX_TOKEN_BYTES)).toString('utf8'), asked);
  }

  #keyOf(request: TokenRequest): string {
    const { credential } = request;
    const secret = createHmac('sha256', this.#key)
      .update(JSON.stringify([userOf(credential), secretOf(credential)]))
      .digest('base64');
    return JSON.stringify([request.host.host, request.realm, request.service, request.scopes, secret]);
  }
}

/** Makes the value of an `Authorization: Basic` header. */
export function basicAuthorization(credential: Credential): string {
  return `Basic ${Buffer.from(`${userOf(credential)}:${secretOf(credential)}`).toString('base64')}`;
}

/** Returns the user name; an identity token has none. */
export function userOf(credential: Credential | undefined): string {
  if (credential?.identityToken !== undefined && credential.identityToken !== '') return '';
  return credential?.username ?? '';
}

/** Returns the password or identity token; empty for anonymous. */
export function secretOf(credential: Credential | undefined): string {
  if (credential?.identityToken !== undefined && credential.identityToken !== '')
    return credential.identityToken;
  return credential?.password ?? '';
}

function readToken(body: string, asked: number): Token {
  let parsed: unknown;
  try {
    // Only for its words: they say nothing of the text but its first wrong character.
    parseGoJson(body);
    parsed = JSON.parse(body);
  } catch (error) {
    const message = `unable to decode token response: ${messageOf(error)}`;
    throw new RemoteError('BAD_RESPONSE', message, { cause: error });
  }
  const fields = new Map(
    typeof parsed === 'object' && parsed !== null ? Object.entries(parsed as Record<string, unknown>) : [],
  );
  const text = (name: string): string => {
    const value = fields.get(name);
    return typeof value === 'string' ? value : '';
  };
  const value = text('access_token') || text('token');
  if (value === '' || /[\r\n]/.test(value)) {
    throw new RemoteError('BAD_RESPONSE', 'authorization server did not include a token in the response');
  }
  const seconds = fields.get('expires_in');
  const life = (typeof seconds === 'number' && seconds > 0 ? seconds : DEFAULT_LIFE_SECONDS) * 1000;
  return { value, renewAt: asked + Math.max(life - RENEWAL_MARGIN_MS, life * 0.8) };
}

function prefixed(prefix: string): (error: unknown) => never {
  return (error) => {
    throw error instanceof RemoteError ? error.wrap(prefix) : error;
  };
}
