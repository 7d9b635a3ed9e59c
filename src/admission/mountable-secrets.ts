import type { PodSpec } from '../kube/pod.ts';
import type { ServiceAccount } from '../kube/secret.ts';
import { containersOf, type ContainerKind } from './pod-template.ts';

const ENFORCE_ANNOTATION = 'kubernetes.io/enforce-mountable-secrets';
/** What Go's `strconv.ParseBool` takes for true. */
const TRUE = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);

const KIND_NAMES: Readonly<Record<ContainerKind, string>> = {
  initContainers: 'init container',
  containers: 'container',
  ephemeralContainers: 'ephemeral container',
};

/** Tells whether an account allows only the secrets that it lists (rule 8.6). */
export function enforcesMountableSecrets(account: ServiceAccount): boolean {
  const { annotations = {} } = account.metadata;
  return Object.hasOwn(annotations, ENFORCE_ANNOTATION) && TRUE.has(annotations[ENFORCE_ANNOTATION] ?? '');
}

/** Finds the first secret of a Pod that its account does not list, worded as the API server does; undefined for none (rule 8.6). */
export function findForbiddenSecret(
  spec: PodSpec,
  account: ServiceAccount,
  kinds: readonly ContainerKind[],
): string | undefined {
  const { name } = account.metadata;
  const mountable = new Set((account.secrets ?? []).map((secret) => secret.name));
  const refuse = (what: string, secret: string): string =>
    `${what}secret.secretName="${secret}" is not allowed because service account ${name} does not reference that secret`;
  const whole = kinds.includes('containers');
  for (const { secret } of whole ? (spec.volumes ?? []) : []) {
    if (secret !== undefined && !mountable.has(secret.secretName))
      return refuse('volume with ', secret.secretName ?? '');
  }
  for (const { kind, container } of containersOf(spec, kinds)) {
    const who = `${KIND_NAMES[kind]} ${container.name}`;
    for (const { name: variable, valueFrom } of container.env ?? []) {
      const secret = valueFrom?.secretKeyRef?.name;
      if (secret !== undefined && !mountable.has(secret))
        return refuse(`${who} with envVar ${variable} referencing `, secret);
    }
    for (const { secretRef } of container.envFrom ?? []) {
      if (secretRef !== undefined && !mountable.has(secretRef.name))
        return refuse(`${who} with envFrom referencing `, secretRef.name);
    }
  }
  const pullSecrets = new Set((account.imagePullSecrets ?? []).map((secret) => secret.name ?? ''));
  for (const [i, secret] of (whole ? (spec.imagePullSecrets ?? []) : []).entries()) {
    if (!pullSecrets.has(secret.name ?? '')) {
      return `imagePullSecrets[${i}].name="${secret.name ?? ''}" is not allowed because service account ${name} does not reference that imagePullSecret`;
    }
  }
  return undefined;
}
