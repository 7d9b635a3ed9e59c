import assert from 'node:assert/strict';
import { runDray } from './run-dray.ts';
import type { ServedRegistry } from './serve-registry.ts';

/** Runs `dray registry …` on the directory of a registry and expects success. */
export async function dray(directory: string, args: readonly string[], input = ''): Promise<string> {
  const outcome = await runDray(['registry', ...args, '--directory', directory], { input });
  assert.equal(outcome.code, 0, outcome.stderr);
  return outcome.stdout;
}

/** Returns the status that a login is answered with. */
export async function login(served: ServedRegistry, account: string, password: string): Promise<number> {
  return (await served.send('GET', '/v2/', { basic: `${account}:${password}` })).status;
}

/** A pull secret as a cluster has it. */
export interface PullSecret {
  kind: string;
  type: string;
  metadata: { name: string; namespace: string };
  data: Record<string, string>;
}

/** Returns the credential that a pull secret has for a registry. */
export function authOf(secret: PullSecret, server: string): { username: string; password: string } {
  const config = JSON.parse(
    Buffer.from(secret.data['.dockerconfigjson'] ?? '', 'base64').toString('utf8'),
  ) as { auths: Record<string, { username: string; password: string }> };
  const auth = config.auths[server];
  assert.ok(auth !== undefined);
  return auth;
}
