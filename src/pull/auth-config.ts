import type { Credential, CredentialSource } from '../remote/credential.ts';
import type { AuthConfig } from './image-service.ts';
import { PullError } from './pull-error.ts';

/**
 * Turns the credential of one CRI pull into a source for the registry client, with containerd's order of fields
 * (rule 12.19). It answers for the image's own registry only: a mirror asks under its own name and gets nothing.
 *
 * @param name where the credential came from, for records
 */
export function credentialsFromAuth(
  auth: AuthConfig | undefined,
  registry: string,
  name: string,
): CredentialSource {
  // Read when the registry asks: one that is open to all never sees what is wrong with it.
  return async (host) =>
    host !== registry || auth === undefined || !isMeantFor(auth, registry)
      ? undefined
      : credentialOf(auth, name);
}

/** A server address without a scheme has no host and therefore names none. */
function isMeantFor(auth: AuthConfig, registry: string): boolean {
  if (auth.serverAddress === undefined || auth.serverAddress === '') return true;
  const host = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(auth.serverAddress)?.[1] ?? '';
  return host === registry || (registry === 'docker.io' && host === 'registry-1.docker.io');
}

function credentialOf(auth: AuthConfig, name: string): Credential | undefined {
  if (auth.username !== undefined && auth.username !== '')
    return { name, username: auth.username, password: auth.password ?? '' };
  if (auth.identityToken !== undefined && auth.identityToken !== '')
    return { name, identityToken: auth.identityToken };
  if (auth.auth === undefined || auth.auth === '') return undefined;
  const decoded = Buffer.from(auth.auth, 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  if (colon < 0)
    throw new PullError('UNAUTHORIZED', `invalid decoded auth of credential "${name}": it has no colon`);
  return {
    name,
    username: decoded.slice(0, colon),
    password: decoded.slice(colon + 1).replace(/\0+$/, ''),
  };
}
