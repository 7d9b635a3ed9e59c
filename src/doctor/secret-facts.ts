import type { PullSecretFacts } from '../admission/secret-practices.ts';
import { credentialHash } from '../credentials/credential-hash.ts';
import { CredentialError } from '../credentials/credential-error.ts';
import { parseDockerConfigJson, parseDockercfg } from '../credentials/docker-config.ts';
import { decodeGoBase64 } from '../credentials/go-base64.ts';
import type { Secret } from '../kube/secret.ts';
import { parseTime } from '../kube/time.ts';

/** Facts of secrets seen before: the same few are looked at for every object of a file. */
const seen = new WeakMap<Secret, PullSecretFacts | 'none'>();

/**
 * Takes out of a pull secret what practices look at: registries as they are written, and hashes; undefined for a secret that
 * is none or cannot be read.
 *
 * @param now milliseconds, the age of a secret that has no time of creation
 */
export function pullSecretFacts(secret: Secret, namespace: string, now: number): PullSecretFacts | undefined {
  const known = seen.get(secret);
  if (known !== undefined) return known === 'none' ? undefined : known;
  const facts = readFacts(secret, namespace, now);
  seen.set(secret, facts ?? 'none');
  return facts;
}

function readFacts(secret: Secret, namespace: string, now: number): PullSecretFacts | undefined {
  const value = secret.data?.['.dockerconfigjson'] ?? secret.data?.['.dockercfg'];
  if (typeof value !== 'string' || value === '') return undefined;
  try {
    const bytes = decodeGoBase64(value);
    const parse = secret.type === 'kubernetes.io/dockercfg' ? parseDockercfg : parseDockerConfigJson;
    const { name } = secret.metadata;
    return {
      namespace: secret.metadata.namespace ?? namespace,
      name,
      createdAt: parseTime(secret.metadata.creationTimestamp ?? '') ?? now,
      credentials: [...parse(bytes)].map(([registry, { username, password, email }]) => ({
        registry,
        hash: credentialHash({ username, password, email }),
      })),
    };
  } catch (error) {
    // What cannot be read is told as a problem where the secret is used.
    if (error instanceof CredentialError) return undefined;
    throw error;
  }
}
