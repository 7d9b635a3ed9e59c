import { createHash, timingSafeEqual } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { unauthorized } from '../kube/status.ts';
import { ANONYMOUS, AUTHENTICATED_GROUP, type UserInfo } from './user-info.ts';

/** What a request brings to say who sent it. */
export interface Credentials {
  /** Subject of a client certificate that the server's CA signed. */
  readonly certificate?: {
    readonly commonName: string;
    readonly organizations: readonly string[];
    /** SHA-256 of the whole certificate, in hexadecimal. */
    readonly fingerprint: string;
  };
  readonly bearerToken?: string;
}

/** Recognises one kind of bearer token; `undefined` leaves the token to the next. */
export type TokenAuthenticator = (token: string) => UserInfo | undefined | Promise<UserInfo | undefined>;

/** A token written down beforehand, as in kube-apiserver's token file. */
export interface StaticToken {
  readonly token: string;
  readonly user: UserInfo;
}

/** Reads the credentials of a request; the TLS layer checked the certificate's chain and dates already. */
export function credentialsOf(socket: TLSSocket, authorization: string | undefined): Credentials {
  const bearer = /^bearer +(\S.*)$/i.exec(authorization ?? '')?.[1]?.trim();
  const certificate = certificateOf(socket);
  return {
    ...(certificate === undefined ? {} : { certificate }),
    ...(bearer === undefined ? {} : { bearerToken: bearer }),
  };
}

/** Reading the subject out of a certificate takes longer than most requests, and it stays the same for a connection. */
const certificates = new WeakMap<TLSSocket, { readonly certificate: Credentials['certificate'] }>();

function certificateOf(socket: TLSSocket): Credentials['certificate'] {
  const known = certificates.get(socket);
  if (known !== undefined) return known.certificate;
  const peer = socket.authorized ? socket.getPeerCertificate() : undefined;
  const subject = peer?.subject;
  const [commonName] = list(subject?.['CN']);
  const certificate =
    peer === undefined || commonName === undefined
      ? undefined
      : {
          commonName,
          organizations: list(subject?.['O']),
          fingerprint: createHash('sha256').update(peer.raw).digest('hex'),
        };
  certificates.set(socket, { certificate });
  return certificate;
}

/**
 * Finds out who sent a request: client certificate first, then each token authenticator, then anonymous.
 *
 * @throws StatusError 401 when a token was sent that nobody recognises
 */
export async function authenticate(
  credentials: Credentials,
  tokens: readonly TokenAuthenticator[],
): Promise<UserInfo> {
  const { certificate, bearerToken } = credentials;
  if (certificate !== undefined && certificate.commonName !== '') {
    const { commonName, organizations, fingerprint } = certificate;
    return {
      name: commonName,
      groups: [...organizations, AUTHENTICATED_GROUP],
      extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${fingerprint}`] },
    };
  }
  if (bearerToken === undefined) return ANONYMOUS;
  for (const authenticator of tokens) {
    const user = await authenticator(bearerToken);
    if (user !== undefined) return user;
  }
  throw unauthorized();
}

/** Recognises tokens of a fixed list. Compared by digest, so that time tells nothing about them. */
export function staticTokens(tokens: readonly StaticToken[]): TokenAuthenticator {
  const known = tokens.map(({ token, user }) => ({
    digest: digest(token),
    user: { ...user, groups: [...new Set([...user.groups, AUTHENTICATED_GROUP])] },
  }));
  return (token) => {
    const wanted = digest(token);
    let found: UserInfo | undefined;
    for (const candidate of known) if (timingSafeEqual(candidate.digest, wanted)) found = candidate.user;
    return found;
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function list(value: string | string[] | undefined): string[] {
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}
