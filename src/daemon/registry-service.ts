import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../base/atomic-file.ts';
import { isSystemError } from '../base/coded-error.ts';
import type { Logger } from '../observe/logger.ts';
import { createRegistry, type Registry } from '../registry/registry.ts';
import { clusterImages } from './cluster-images.ts';
import { SYSTEM_CONTEXT } from './kubeconfig.ts';
import type { KeyPair } from './pki.ts';

/** The user who may do everything in this machine's registry. */
export const REGISTRY_ADMIN = 'admin';

/** The machine's private registry, being served. */
export interface RegistryService {
  readonly registry: Registry;
  /** `localhost:PORT`: what image names begin with. */
  readonly host: string;
  /** File that holds the password of {@link REGISTRY_ADMIN}; 0600. */
  readonly passwordFile: string;
}

/** Serves the registry below `directory` over TLS, with an administrator whose password is made on first use. */
export async function startRegistryService(options: {
  directory: string;
  port: number;
  tls: KeyPair;
  logger: Logger;
  /** Kubeconfig of the system, whose images retention leaves alone; read when something is about to be retired. */
  kubeconfig: string;
}): Promise<RegistryService> {
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const cluster = { kubeconfig: options.kubeconfig, context: SYSTEM_CONTEXT };
  const registry = await createRegistry({
    directory: options.directory,
    port: options.port,
    tls: { cert: options.tls.cert, key: options.tls.key },
    logger: options.logger,
    maintenance: { inUse: (signal) => clusterImages([cluster], signal) },
  });
  try {
    const passwordFile = join(options.directory, 'admin-password');
    await ensureAdministrator(registry, passwordFile);
    return { registry, host: `localhost:${registry.port}`, passwordFile };
  } catch (error) {
    await registry.close();
    throw error;
  }
}

/** The file comes first: a password that is set but written nowhere could never be used. */
async function ensureAdministrator(registry: Registry, passwordFile: string): Promise<void> {
  let password: string;
  try {
    password = (await readFile(passwordFile, 'utf8')).trim();
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
    password = randomBytes(18).toString('base64url');
    await writeFileAtomic(passwordFile, `${password}\n`, { mode: 0o600 });
  }
  const users = await registry.admin.listUsers();
  if (!users.some((user) => user.name === REGISTRY_ADMIN))
    await registry.admin.addUser(REGISTRY_ADMIN, password, { admin: true });
}

/** Lets a node trust the registry under each of its names, in docker's layout: `certs.d/HOST:PORT/ca.crt`. */
export async function trustRegistry(
  certsDirectory: string,
  hosts: readonly string[],
  ca: string,
): Promise<void> {
  for (const host of hosts) {
    const directory = join(certsDirectory, host);
    const file = join(directory, 'ca.crt');
    await mkdir(directory, { recursive: true });
    const held = await readFile(file, 'utf8').catch((error: unknown) => {
      if (isSystemError(error, 'ENOENT')) return undefined;
      throw error;
    });
    if (held !== ca) await writeFileAtomic(file, ca);
  }
}
