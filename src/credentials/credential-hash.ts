import { createHash } from 'node:crypto';

/** What a credential consists of, in the names under which the kubelet hashes it. */
export interface HashedCredential {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly auth?: string | undefined;
  readonly email?: string | undefined;
  readonly serverAddress?: string | undefined;
  readonly identityToken?: string | undefined;
  readonly registryToken?: string | undefined;
}

/**
 * Hashes a credential as the kubelet's pull records do (rule 3.40): lower-case hexadecimal SHA-256 of its JSON in Go's form,
 * empty fields left out.
 */
export function credentialHash(credential: HashedCredential): string {
  const fields: readonly (readonly [name: string, value: string | undefined])[] = [
    ['username', credential.username],
    ['password', credential.password],
    ['auth', credential.auth],
    ['email', credential.email],
    ['serveraddress', credential.serverAddress],
    ['identitytoken', credential.identityToken],
    ['registrytoken', credential.registryToken],
  ];
  const given = fields.filter(([, value]) => value !== undefined && value !== '');
  const json = `{${given.map(([name, value]) => `"${name}":${goJsonString(value ?? '')}`).join(',')}}`;
  return createHash('sha256').update(json).digest('hex');
}

/** Prints a JSON string as Go's encoder does: it also escapes what HTML and JavaScript would take for syntax. */
export function goJsonString(text: string): string {
  return JSON.stringify(text.toWellFormed()).replace(/[<>&\u2028\u2029]/g, escape);
}

function escape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
