import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ManualClock } from '../../src/base/manual-clock.ts';
import type { PodIdentity } from '../../src/credentials/candidates.ts';
import {
  CredentialProviders,
  type CredentialProvidersOptions,
  type ProviderOutcome,
} from '../../src/credentials/provider/credential-providers.ts';
import type { ProviderConfig } from '../../src/credentials/provider/provider-config.ts';

const never = new AbortController().signal;
/** The newest version of the plug-in protocol. */
export const V1 = 'credentialprovider.kubelet.k8s.io/v1';
/** The image that is asked about when a test names none. */
export const IMAGE = 'r.io/team/app';
/** The login that an answer has when a test gives none. */
export const login = { username: 'u', password: 'p' };

export interface Answer {
  readonly apiVersion?: string;
  readonly cacheKeyType?: string;
  readonly cacheDuration?: string;
  readonly auth?: Record<string, { username: string; password: string }>;
}

/** Prints an answer with some fields replaced. */
export function answer(fields: Answer = {}): string {
  return JSON.stringify({
    kind: 'CredentialProviderResponse',
    apiVersion: V1,
    cacheKeyType: 'Registry',
    auth: { 'r.io': login },
    ...fields,
  });
}

/** Plug-ins as shell scripts in a directory of their own; each run leaves a line in `log`. */
export async function plugins(t: TestContext, scripts: Record<string, string>) {
  const binDirectory = await mkdtemp(join(tmpdir(), 'drayage-plugins-'));
  const log = join(binDirectory, 'log');
  for (const [name, script] of Object.entries(scripts)) {
    const text = `#!/bin/sh\necho ${name} >> '${log}'\n${script}\n`;
    await writeFile(join(binDirectory, name), text, { mode: 0o755 });
  }
  const clock = new ManualClock(1_000_000);
  const make = (configs: Partial<ProviderConfig>[], options: Partial<CredentialProvidersOptions> = {}) => {
    const providers = new CredentialProviders(
      configs.map((config) => ({
        name: Object.keys(scripts)[0] ?? '',
        matchImages: ['r.io'],
        defaultCacheDurationMs: 0,
        apiVersion: V1,
        args: [],
        env: [],
        tokenAttributes: undefined,
        ...config,
      })),
      { binDirectory, clock, environment: { PATH: process.env['PATH'] }, ...options },
    );
    t.after(() => providers.close());
    return providers;
  };
  t.after(() => rm(binDirectory, { recursive: true, force: true }));
  const ran = async (): Promise<string[]> =>
    (await readFile(log, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');
  return { binDirectory, clock, make, ran };
}
/** A script that prints a text. */
export const prints = (text: string): string => `cat <<'END'\n${text}\nEND`;
/** Asks the first provider. */
export async function ask(
  providers: CredentialProviders,
  image = IMAGE,
  who?: PodIdentity,
): Promise<ProviderOutcome> {
  const [outcome] = await providers.ask(image, who, never);
  assert.ok(outcome !== undefined);
  return outcome;
}
