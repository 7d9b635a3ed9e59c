import { isSystemError, messageOf } from '../../base/coded-error.ts';
import { CredentialError } from '../credential-error.ts';
import { parseGoJson, type JsonNode } from '../go-json.ts';
import { CredentialHelper, TOKEN_USER } from './credential-helper.ts';
import { decodeClientAuth, LoginFile, type LoginEntry } from './login-file.ts';
import { dockerKey, hostOfKey, loginPlaces, podmanHost, type LoginPlace } from './login-places.ts';

/** What a client presents to a registry. The `name` says where it came from and is the only part that may be printed. */
export interface ClientCredential {
  readonly name: string;
  readonly username?: string;
  readonly password?: string;
  readonly identityToken?: string;
  readonly registryToken?: string;
}

export interface ClientCredentialOptions {
  readonly environment: NodeJS.ProcessEnv;
  /** `--authfile`: the only file asked. */
  readonly authFile?: string;
  readonly signal: AbortSignal;
  /** Hears of a `DOCKER_AUTH_CONFIG` that is not usable. */
  readonly warn?: (message: string) => void;
}

/**
 * Finds the login for a registry as a user's own tools do (6.23–6.27): `DOCKER_AUTH_CONFIG`, then the login files, each with
 * its helpers. Undefined: anonymous.
 *
 * @param host `host[:port]` of the registry that the image names; `docker.io` for Docker Hub
 * @param repository path below the host, for podman's entries of part of a registry; empty: the registry as a whole
 * @throws CredentialError `BAD_CLIENT_CONFIG` for a file that cannot be read, `HELPER_FAILED`
 */
export async function loadClientCredential(
  host: string,
  repository: string,
  options: ClientCredentialOptions,
): Promise<ClientCredential | undefined> {
  const fromEnvironment = environmentLogin(host, options);
  if (fromEnvironment !== undefined) return fromEnvironment;
  for (const place of loginPlaces(options.environment, options.authFile)) {
    const file = await readPlace(place);
    if (file === undefined) continue;
    const found = await loginIn(file, place, host, repository, options);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function readPlace(place: LoginPlace): Promise<LoginFile | undefined> {
  try {
    return await LoginFile.read(place.path);
  } catch (error) {
    if (place.implied === true && error instanceof CredentialError && isSystemError(error.cause, 'EACCES'))
      return undefined;
    throw error;
  }
}

async function loginIn(
  file: LoginFile,
  place: LoginPlace,
  host: string,
  repository: string,
  options: ClientCredentialOptions,
): Promise<ClientCredential | undefined> {
  if (place.style === 'docker') {
    const key = dockerKey(host);
    const helper = file.credHelpers.get(key) ?? file.credsStore;
    if (helper !== '') return askHelper(helper, key, options);
    return credentialOf(file.path, dockerEntry(file.entries, key));
  }
  const registry = podmanHost(host);
  for (const key of podmanKeys(registry, repository)) {
    const own = file.credHelpers.get(key);
    if (own !== undefined) return askHelper(own, key, options);
    const found = credentialOf(file.path, file.entries.get(key));
    if (found !== undefined) return found;
  }
  if (file.credsStore !== '') return askHelper(file.credsStore, registry, options);
  const byHost = [...file.entries].find(([key]) => podmanHost(hostOfKey(key)) === registry && isHostKey(key));
  return credentialOf(file.path, byHost?.[1]);
}

/** Finds docker's entry: the key itself, else any key for the same host (rule 6.25). */
function dockerEntry(entries: ReadonlyMap<string, LoginEntry>, key: string): LoginEntry | undefined {
  return entries.get(key) ?? [...entries].find(([other]) => hostOfKey(other) === key)?.[1];
}

/** Returns `host/a/b`, `host/a`, `host` for a repository `a/b`: podman's entries from the most to the least specific. */
export function podmanKeys(host: string, repository: string): string[] {
  const parts = repository === '' ? [] : repository.split('/');
  const keys = [];
  for (let length = parts.length; length > 0; length--)
    keys.push(`${host}/${parts.slice(0, length).join('/')}`);
  return [...keys, host];
}

/** Tells a key that stands for a whole registry (`https://quay.io/v1/`) from one of podman's for part of it. */
function isHostKey(key: string): boolean {
  const rest = key.replace(/^https?:\/\//, '');
  return /^[^/]*(?:\/(?:v[12]\/?)?)?$/.test(rest);
}

async function askHelper(
  name: string,
  server: string,
  options: ClientCredentialOptions,
): Promise<ClientCredential | undefined> {
  const helper = new CredentialHelper(name, options.environment);
  const found = await helper.get(server, options.signal);
  if (found === undefined) return undefined;
  if (found.username === TOKEN_USER) return { name: helper.program, identityToken: found.secret };
  return { name: helper.program, username: found.username, password: found.secret };
}

function credentialOf(name: string, entry: LoginEntry | undefined): ClientCredential | undefined {
  if (entry === undefined) return undefined;
  const { username, password, identityToken, registryToken } = entry;
  if (username === '' && password === '' && identityToken === '' && registryToken === '') return undefined;
  return {
    name,
    ...(username !== '' && { username }),
    ...(password !== '' && { password }),
    ...(identityToken !== '' && { identityToken }),
    ...(registryToken !== '' && { registryToken }),
  };
}

/** Reads `DOCKER_AUTH_CONFIG` (rule 6.24): strictly `{"auths": {ADDRESS: {"auth": …}}}`; anything else is told and passed over. */
function environmentLogin(host: string, options: ClientCredentialOptions): ClientCredential | undefined {
  const text = options.environment['DOCKER_AUTH_CONFIG'] ?? '';
  if (text === '') return undefined;
  try {
    const auth = strictAuths(parseGoJson(text)).get(dockerKey(host));
    return auth === undefined ? undefined : { name: 'DOCKER_AUTH_CONFIG', ...decodeClientAuth(auth) };
  } catch (error) {
    options.warn?.(`DOCKER_AUTH_CONFIG is not used: ${messageOf(error)}`);
    return undefined;
  }
}

function strictAuths(top: JsonNode): Map<string, string> {
  const auths = new Map<string, string>();
  for (const [, entries] of members(top, 'auths')) {
    if (entries.kind !== 'object') throw new CredentialError('BAD_CLIENT_CONFIG', 'auths is no object');
    for (const [address, entry] of entries.members) {
      for (const [, auth] of members(entry, 'auth')) {
        if (auth.kind !== 'string') throw new CredentialError('BAD_CLIENT_CONFIG', 'auth is no string');
        auths.set(address, auth.value);
      }
    }
  }
  return auths;
}

function members(node: JsonNode, only: string): readonly (readonly [string, JsonNode])[] {
  if (node.kind !== 'object') throw new CredentialError('BAD_CLIENT_CONFIG', 'it is no JSON object');
  const unknown = node.members.find(([key]) => key !== only);
  if (unknown !== undefined)
    throw new CredentialError('BAD_CLIENT_CONFIG', `json: unknown field "${unknown[0]}"`);
  return node.members;
}
