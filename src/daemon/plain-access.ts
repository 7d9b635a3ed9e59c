import { randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../base/atomic-file.ts';
import { isSystemError } from '../base/coded-error.ts';

/** Bytes of the token: as many as a key of 256 bits. */
const TOKEN_BYTES = 32;

/** Returns the administrator's bearer token for the API without TLS, making it on first use; 0600. */
export async function openApiToken(root: string): Promise<string> {
  const path = join(root, 'pki', 'api-token');
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
  }
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  await writeFileAtomic(path, `${token}\n`, { mode: 0o600 });
  return token;
}

/** The kubeconfig by which the API is reached without TLS; it is there only while that is served. */
export function plainKubeconfigPath(root: string): string {
  return join(root, 'kubeconfig-plain');
}

/** Writes that kubeconfig, or removes it when nothing is served without TLS. */
export async function writePlainKubeconfig(
  root: string,
  served: { readonly server: string; readonly token: string } | undefined,
): Promise<void> {
  const path = plainKubeconfigPath(root);
  if (served === undefined) {
    await rm(path, { force: true });
    return;
  }
  const name = 'drayage-plain';
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [{ name, cluster: { server: served.server } }],
    users: [{ name, user: { token: served.token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    preferences: {},
  };
  // JSON is YAML, and kubectl reads both.
  await writeFileAtomic(path, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600 });
}
