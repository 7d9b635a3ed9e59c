import type { AccessTokens } from '../identity/access-token.ts';
import type { Access } from '../identity/access.ts';
import { ANONYMOUS, type Identity } from '../identity/identity.ts';
import type { Login } from '../identity/login.ts';
import { RegistryError } from '../registry-error.ts';

/** Who sends a request and with what. */
export type Caller =
  | { readonly via: 'nothing'; readonly identity: Identity }
  | { readonly via: 'password'; readonly identity: Identity }
  /** May do what the token says and no more. */
  | { readonly via: 'token'; readonly identity: Identity; readonly access: readonly Access[] };

/** A credential as the `Authorization` header carries it. */
export type PresentedCredential =
  | { readonly kind: 'none' }
  | { readonly kind: 'password'; readonly account: string; readonly password: string }
  | { readonly kind: 'bearer'; readonly token: string };

/**
 * Reads an `Authorization` header. Basic credentials with neither account nor password count as none: clients send them
 * when their configuration has an empty entry.
 *
 * @throws RegistryError `UNAUTHORIZED` for a scheme or form that nobody offered
 */
export function readAuthorization(header: string | undefined): PresentedCredential {
  if (header === undefined || header === '') return { kind: 'none' };
  const space = header.indexOf(' ');
  const scheme = header.slice(0, space).toLowerCase();
  const rest = header.slice(space + 1).trim();
  if (scheme === 'bearer' && rest !== '') return { kind: 'bearer', token: rest };
  if (scheme !== 'basic') throw new RegistryError('UNAUTHORIZED', 'authorization scheme is not supported');
  const text = Buffer.from(rest, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) throw new RegistryError('UNAUTHORIZED', 'basic credential has no colon');
  if (text === ':') return { kind: 'none' };
  return { kind: 'password', account: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** Longest account in logs: names are shorter, and anybody may claim to be anybody. */
const ACCOUNT_LIMIT = 256;

/** What people paste into the wrong field: a robot's secret, a cluster's token. */
const SECRET = /^(?:dray_|ey[\w-]+\.)/;

/** Returns an account as logs and terminals may have it. */
export function printableAccount(account: string): string {
  if (SECRET.test(account)) return '(a secret)';
  return account.slice(0, ACCOUNT_LIMIT).replace(/\p{C}/gu, '\uFFFD');
}

/** Returns the account that an `Authorization` header claims to be of, verified or not; empty when it names none. */
export function claimedAccount(header: string | undefined): string {
  if (header === undefined || !/^basic /i.test(header)) return '';
  const text = Buffer.from(header.slice('basic '.length).trim(), 'base64').toString('utf8');
  return printableAccount(text.slice(0, Math.max(text.indexOf(':'), 0)));
}

/** @throws RegistryError `UNAUTHORIZED`, `TOOMANYREQUESTS` */
export async function identifyCaller(
  header: string | undefined,
  address: string,
  parts: { login: Login; tokens: AccessTokens },
): Promise<Caller> {
  const credential = readAuthorization(header);
  switch (credential.kind) {
    case 'none':
      return { via: 'nothing', identity: ANONYMOUS };
    case 'bearer': {
      // A cluster's own token may be sent as it is, without exchanging it first.
      if (!parts.tokens.isOurs(credential.token)) {
        return { via: 'password', identity: await parts.login.verify('', credential.token, address) };
      }
      const { identity, access } = await parts.tokens.verify(credential.token);
      return { via: 'token', identity, access };
    }
    case 'password': {
      const { account, password } = credential;
      return { via: 'password', identity: await parts.login.verify(account, password, address) };
    }
  }
}
