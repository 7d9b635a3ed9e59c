import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { TokenIndex, UserIndex } from '../metadata/identity-index.ts';
import { RegistryError } from '../registry-error.ts';
import { formatScopes, parseScopes, type Access } from './access.ts';
import { TOKEN_LIFETIME_S, type AccessTokens } from './access-token.ts';
import { ANONYMOUS, type Identity } from './identity.ts';
import type { Login } from './login.ts';
import { grantedPart, type Rights } from './rights.ts';

/** How long a refresh token is good: `docker login` keeps it in place of the password. */
const REFRESH_LIFETIME_MS = 90 * 24 * 3_600_000;

/** A request for a token, from either of the two endpoints' shapes. */
export interface TokenRequest {
  readonly credential:
    | { readonly kind: 'none' }
    | { readonly kind: 'password'; readonly account: string; readonly password: string }
    | { readonly kind: 'refresh'; readonly token: string };
  readonly scopes: readonly string[];
  /** Whether a refresh token is wanted. */
  readonly offline: boolean;
  readonly address: string;
}

/** @see distribution's token specification; `token` and `access_token` are the same, for clients of either kind */
export interface TokenResponse {
  readonly token: string;
  readonly access_token: string;
  readonly scope: string;
  readonly expires_in: number;
  readonly issued_at: string;
  readonly refresh_token?: string;
}

export interface TokenServiceParts {
  readonly login: Login;
  readonly rights: Rights;
  readonly tokens: AccessTokens;
  readonly index: TokenIndex;
  readonly users: UserIndex;
  readonly clock: Clock;
}

/** Exchanges credentials for bearer tokens. */
export class TokenService {
  readonly #parts: TokenServiceParts;

  constructor(parts: TokenServiceParts) {
    this.#parts = parts;
  }

  /**
   * Answers with as much of the asked access as the credential has; less than asked, even nothing, is a success.
   *
   * @throws RegistryError `UNAUTHORIZED`, `TOOMANYREQUESTS`
   */
  async exchange(request: TokenRequest): Promise<TokenResponse> {
    const identity = await this.#identify(request);
    const asked = parseScopes(request.scopes);
    const access = await grantedPart(this.#parts.rights, identity, asked);
    const { token, issuedAt } = await this.#parts.tokens.mint(identity, access);
    const refresh = await this.#refreshToken(request, identity);
    return {
      token,
      access_token: token,
      scope: formatScopes(access satisfies Access[]),
      expires_in: TOKEN_LIFETIME_S,
      issued_at: new Date(issuedAt).toISOString(),
      ...(refresh === undefined ? {} : { refresh_token: refresh }),
    };
  }

  async #identify({ credential, address }: TokenRequest): Promise<Identity> {
    switch (credential.kind) {
      case 'none':
        return ANONYMOUS;
      case 'password':
        return this.#parts.login.verify(credential.account, credential.password, address);
      case 'refresh':
        return this.#identifyByRefreshToken(credential.token);
    }
  }

  async #identifyByRefreshToken(token: string): Promise<Identity> {
    const record = await this.#parts.index.findRefreshToken(hashOf(token));
    const user = record && (await this.#parts.users.findUser(record.account));
    if (user === undefined) throw new RegistryError('UNAUTHORIZED', 'refresh token is not valid');
    return { kind: 'user', account: user.name, admin: user.admin, grants: [] };
  }

  /** Managed users get refresh tokens; every other kind of account has a secret that can expire by itself. */
  async #refreshToken(request: TokenRequest, identity: Identity): Promise<string | undefined> {
    if (request.credential.kind === 'refresh') return request.credential.token;
    if (!request.offline || identity.kind !== 'user') return undefined;
    if ((await this.#parts.users.findUser(identity.account)) === undefined) return undefined;
    const token = randomBytes(32).toString('base64url');
    const now = this.#parts.clock.now();
    await this.#parts.index.addRefreshToken({
      hash: hashOf(token),
      account: identity.account,
      createdAt: now,
      expiresAt: now + REFRESH_LIFETIME_MS,
    });
    return token;
  }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
