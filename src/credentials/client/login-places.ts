import { homedir } from 'node:os';
import { join } from 'node:path';

/** Docker Hub's key in docker's files (rule 6.23). */
export const HUB_KEY = 'https://index.docker.io/v1/';

const HUB_HOSTS: ReadonlySet<string> = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);

/** Which rules a login file follows: docker keys entries by host, podman by host and any part of the path. */
export type LoginStyle = 'docker' | 'podman';

export interface LoginPlace {
  readonly path: string;
  readonly style: LoginStyle;
  /** True for a place that nobody named: one that this user may not read is somebody else's. */
  readonly implied?: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Returns docker's key for a registry (rule 6.23). */
export function dockerKey(host: string): string {
  return HUB_HOSTS.has(host) ? HUB_KEY : host;
}

/** Returns the name that podman keeps a registry under. */
export function podmanHost(host: string): string {
  return HUB_HOSTS.has(host) ? 'docker.io' : host;
}

/** Strips a key to its host, as docker does when no key is exactly the one sought (rule 6.25). */
export function hostOfKey(key: string): string {
  return key.replace(/^https?:\/\//, '').split('/', 1)[0] ?? '';
}

/** Returns docker's file: `$DOCKER_CONFIG/config.json`, else `$HOME/.docker/config.json` (rule 6.23). */
export function dockerConfigPath(environment: Environment): string {
  const configured = environment['DOCKER_CONFIG'] ?? '';
  return join(configured === '' ? join(home(environment), '.docker') : configured, 'config.json');
}

/** Returns where a login is saved: a file that the caller or `$REGISTRY_AUTH_FILE` names, else docker's. */
export function savingPlace(environment: Environment, authFile?: string): LoginPlace {
  const named = authFile ?? environment['REGISTRY_AUTH_FILE'] ?? '';
  return named === ''
    ? { path: dockerConfigPath(environment), style: 'docker' }
    : { path: named, style: 'podman' };
}

/**
 * Returns the files that are asked for a login, in order; the first that has one wins. A file that is named is the only one;
 * otherwise docker's, then podman's for this session and for this user.
 */
export function loginPlaces(environment: Environment, authFile?: string): LoginPlace[] {
  const saving = savingPlace(environment, authFile);
  if (saving.style === 'podman') return [saving];
  const places: LoginPlace[] = [saving];
  const runtime = environment['XDG_RUNTIME_DIR'] ?? '';
  const session = runtime === '' ? `/run/containers/${process.getuid?.() ?? 0}` : join(runtime, 'containers');
  places.push({ path: join(session, 'auth.json'), style: 'podman', implied: true });
  const config = environment['XDG_CONFIG_HOME'] ?? '';
  const user = config === '' ? join(home(environment), '.config') : config;
  places.push({ path: join(user, 'containers', 'auth.json'), style: 'podman', implied: true });
  return places;
}

function home(environment: Environment): string {
  const named = environment['HOME'] ?? '';
  return named === '' ? homedir() : named;
}
