/** What is looked at of a pull secret: never its content, only a hash of it. */
export interface PullSecretFacts {
  readonly namespace: string;
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** One hash a registry credential in it, as pull records have them (rule 3.40). */
  readonly credentials: readonly { readonly registry: string; readonly hash: string }[];
}

export type SecretPracticeId = 'old-credential' | 'shared-credential' | 'plain-registry-key' | 'wildcard-key';

export interface SecretFinding {
  readonly id: SecretPracticeId;
  readonly severity: 'warning' | 'notice';
  /** `Secret NAMESPACE/NAME` */
  readonly source: string;
  readonly says: string;
  readonly fix: string;
}

/** A credential older than this should have been replaced: a quarter of a year, as most policies have it. */
export const ROTATION_AGE = 90 * 24 * 3600 * 1000;

/** Looks at all pull secrets together: age, credentials shared between namespaces, registries named by `http://`. */
export function findSecretPractices(
  secrets: readonly PullSecretFacts[],
  now: number,
): readonly SecretFinding[] {
  const namespaces = new Map<string, Set<string>>();
  for (const { namespace, credentials } of secrets) {
    for (const { registry, hash } of credentials) {
      const key = `${registry} ${hash}`;
      namespaces.set(key, (namespaces.get(key) ?? new Set()).add(namespace));
    }
  }
  return secrets.flatMap((secret) => judge(secret, namespaces, now));
}

function judge(
  secret: PullSecretFacts,
  namespaces: ReadonlyMap<string, ReadonlySet<string>>,
  now: number,
): SecretFinding[] {
  const source = `Secret ${secret.namespace}/${secret.name}`;
  const findings: SecretFinding[] = [];
  const days = Math.floor((now - secret.createdAt) / (24 * 3600 * 1000));
  if (now - secret.createdAt > ROTATION_AGE) {
    findings.push({
      id: 'old-credential',
      severity: 'notice',
      source,
      says: `made ${days} days ago`,
      fix: 'replace the credential, or use a credential provider that renews it',
    });
  }
  for (const { registry, hash } of secret.credentials) {
    const others = [...(namespaces.get(`${registry} ${hash}`) ?? [])].filter((n) => n !== secret.namespace);
    if (others.length > 0) {
      findings.push({
        id: 'shared-credential',
        severity: 'notice',
        source,
        says: `the credential for ${registry} is also used in ${others.sort().join(', ')}`,
        fix: 'give each namespace a registry identity of its own',
      });
    }
    if (/^[^/]*\*/.test(registry.replace(/^https?:\/\//i, ''))) {
      findings.push({
        id: 'wildcard-key',
        severity: 'warning',
        source,
        says: `the credential under ${registry} is shown to every registry of that form`,
        fix: 'name each registry that needs it',
      });
    }
    if (/^http:\/\//i.test(registry)) {
      findings.push({
        id: 'plain-registry-key',
        severity: 'warning',
        source,
        says: `the credential for ${registry} is meant for a registry without TLS`,
        fix: 'serve the registry over TLS',
      });
    }
  }
  return findings;
}
