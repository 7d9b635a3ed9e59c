import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../base/atomic-file.ts';

/** The kubeconfig by which the API is reached without TLS; it is there only while that is served. */
export function plainKubeconfigPath(root: string): string {
  return join(root, 'kubeconfig-plain');
}

/** Writes that kubeconfig, or removes it when nothing is served without TLS. It holds no secret. */
export async function writePlainKubeconfig(root: string, server: string | undefined): Promise<void> {
  const path = plainKubeconfigPath(root);
  if (server === undefined) {
    await rm(path, { force: true });
    return;
  }
  const name = 'drayage-plain';
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [{ name, cluster: { server } }],
    users: [{ name, user: {} }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    preferences: {},
  };
  // JSON is YAML, and kubectl reads both.
  await writeFileAtomic(path, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600 });
}
