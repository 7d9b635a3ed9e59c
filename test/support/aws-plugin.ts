import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ManualClock } from '../../src/base/manual-clock.ts';
import type { CloudContext } from '../../src/credentials/cloud/cloud-request.ts';
import type { PluginRequest } from '../../src/credentials/cloud/plugin-io.ts';
import { awsServices } from './aws-services.ts';

export const NOW = Date.parse('2026-05-01T12:00:00Z');
export const HOST = '123456789012.dkr.ecr.eu-central-1.amazonaws.com';
export const KEYS = { AWS_ACCESS_KEY_ID: 'AKIANODE', AWS_SECRET_ACCESS_KEY: 'node-secret' };
export const V1 = 'credentialprovider.kubelet.k8s.io/v1';

export const base64 = (text: string): string => Buffer.from(text).toString('base64');
export function request(image: string, token = '', annotations: Record<string, string> = {}): PluginRequest {
  return {
    apiVersion: V1,
    image,
    serviceAccountToken: token,
    serviceAccountAnnotations: new Map(Object.entries(annotations)),
  };
}

/** The services, and a plug-in's surroundings pointed at them by the variables that AWS's own programs read. */
export async function awsSetup(
  t: TestContext,
  environment: Record<string, string> = {},
  files: Record<string, string> = {},
) {
  const aws = await awsServices(t, () => NOW);
  aws.identities.set('AKIANODE', { secret: 'node-secret' });
  aws.authorization = {
    authorizationData: [{ authorizationToken: base64('AWS:pass:word'), expiresAt: NOW / 1000 + 43_200 }],
  };
  const home = await mkdtemp(join(tmpdir(), 'drayage-ecr-'));
  t.after(() => rm(home, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(home, name), text);
  const context: CloudContext = {
    environment: {
      HOME: home,
      AWS_ENDPOINT_URL: aws.url,
      AWS_EC2_METADATA_SERVICE_ENDPOINT: aws.url,
      AWS_CONFIG_FILE: join(home, 'config'),
      AWS_SHARED_CREDENTIALS_FILE: join(home, 'credentials'),
      PATH: process.env['PATH'] ?? '',
      ...Object.fromEntries(
        Object.entries(environment).map(([key, value]) => [
          key,
          value.replaceAll('$HOME', home).replaceAll('$URL', aws.url),
        ]),
      ),
    },
    fetch: (url, init) => fetch(url, init),
    clock: new ManualClock(NOW),
    signal: t.signal,
    readFile: (path) => readFile(path, 'utf8'),
    warn: () => undefined,
  };
  return { aws, context };
}
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
export const GET_TOKEN = 'POST AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken';
