import { CredentialHelper, defaultCredsStore, TOKEN_USER } from './credential-helper.ts';
import { LoginFile, type LoginEntry } from './login-file.ts';
import { dockerKey, podmanHost, savingPlace } from './login-places.ts';

/** A login that a registry has accepted. */
export interface Login {
  /** `host[:port]`, for podman's files also `host/path`. */
  readonly server: string;
  readonly username?: string;
  readonly password?: string;
  readonly identityToken?: string;
  readonly registryToken?: string;
}

export interface SaveLoginOptions {
  readonly environment: NodeJS.ProcessEnv;
  /** `--authfile`. */
  readonly authFile?: string;
  readonly signal: AbortSignal;
}

/** Where a login now lies. */
export interface SavedLogin {
  /** The login file, which every login is entered in. */
  readonly path: string;
  readonly key: string;
  /** The helper that holds the secret; undefined: it lies in the file, where docker warns of that. */
  readonly helper: string | undefined;
}

/**
 * Saves a login where the user's other tools find it (6.23–6.28): with the helper that the file names or that docker would
 * choose, else in the file itself, readable by its owner alone.
 *
 * @throws CredentialError `BAD_CLIENT_CONFIG` or `HELPER_FAILED`; the file is then as it was
 */
export async function saveLogin(login: Login, options: SaveLoginOptions): Promise<SavedLogin> {
  const place = savingPlace(options.environment, options.authFile);
  let file = await LoginFile.read(place.path);
  const key = place.style === 'docker' ? dockerKey(login.server) : podmanKey(login.server);
  if (place.style === 'docker' && !file.isConfigured) {
    const chosen = await defaultCredsStore(options.environment);
    if (chosen !== undefined) file = file.withCredsStore(chosen);
  }
  const name = file.credHelpers.get(key) ?? file.credsStore;
  const { username = '', password = '', identityToken = '', registryToken = '' } = login;
  if (name === '') {
    const entry: LoginEntry = { username, password, identityToken, registryToken };
    await file.withEntry(key, entry).write();
    return { path: place.path, key, helper: undefined };
  }
  const helper = new CredentialHelper(name, options.environment);
  const kept =
    identityToken === '' ? { username, secret: password } : { username: TOKEN_USER, secret: identityToken };
  await helper.store(key, kept, options.signal);
  await file.withEntry(key, undefined).write();
  return { path: place.path, key, helper: helper.program };
}

/**
 * Forgets a login, in the file and with its helper.
 *
 * @returns whether there was one
 */
export async function eraseLogin(server: string, options: SaveLoginOptions): Promise<boolean> {
  const place = savingPlace(options.environment, options.authFile);
  const file = await LoginFile.read(place.path);
  const key = place.style === 'docker' ? dockerKey(server) : podmanKey(server);
  // Older logins are keyed by URL: docker forgets these spellings too.
  const keys = key === server ? [key, `http://${key}`, `https://${key}`] : [key];
  let known = keys.some((name) => file.entries.has(name));
  const name = file.credHelpers.get(key) ?? file.credsStore;
  if (name !== '') {
    const helper = new CredentialHelper(name, options.environment);
    for (const spelling of keys) {
      if ((await helper.get(spelling, options.signal)) === undefined) continue;
      known = true;
      await helper.erase(spelling, options.signal);
    }
  }
  const without = file.withoutEntries(keys);
  if (without !== file) await without.write();
  return known;
}

function podmanKey(server: string): string {
  const [host = '', ...path] = server.split('/');
  return [podmanHost(host), ...path].join('/');
}
