import type { TraceStep } from '../base/trace.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import type { ServiceAccount } from '../kube/secret.ts';
import { forbidden, pass, type AdmissionRequest, type TracedOutcome } from './admission-review.ts';
import { enforcesMountableSecrets, findForbiddenSecret } from './mountable-secrets.ts';
import { mirrorPodViolation } from './mirror-pod.ts';
import { mountToken } from './token-volume.ts';

export const DEFAULT_SERVICE_ACCOUNT = 'default';
const MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';

/** The account that a request needs, or why it could not be had: the text after `error looking up service account NS/NAME: `. */
export type AccountLookup =
  | { readonly found: true; readonly account: ServiceAccount }
  | { readonly found: false; readonly error: string };

/** Says whether ServiceAccount admission looks at a request: Pods being created, ephemeral containers being added (rule 8.1). */
export function concernsServiceAccounts({
  operation,
  resource,
  subresource = '',
  object,
}: AdmissionRequest): boolean {
  if (resource !== 'pods' || !isPod(object)) return false;
  if (subresource === 'ephemeralcontainers') return operation === 'CREATE' || operation === 'UPDATE';
  return subresource === '' && operation === 'CREATE';
}

/** Names the account whose lookup {@link admitServiceAccount} needs; undefined when it needs none. */
export function accountNeeded(request: AdmissionRequest): string | undefined {
  if (!concernsServiceAccounts(request) || !isPod(request.object)) return undefined;
  if (isMirrorPod(request.object) && request.subresource !== 'ephemeralcontainers') return undefined;
  return accountOf(request.object) || DEFAULT_SERVICE_ACCOUNT;
}

/**
 * Gives a new Pod its service account, the account's pull secrets and its token volume, and refuses what the account does not
 * allow (rules 8.1 to 8.7). Ephemeral containers are only checked.
 *
 * @param lookup the account named by {@link accountNeeded}
 * @param suffix random end of the token volume's name
 */
export function admitServiceAccount(
  request: AdmissionRequest,
  lookup: AccountLookup | undefined,
  suffix: () => string,
): TracedOutcome {
  if (!concernsServiceAccounts(request) || !isPod(request.object)) return pass(request);
  const pod = request.object;
  const ephemeral = request.subresource === 'ephemeralcontainers';
  if (!ephemeral && isMirrorPod(pod)) {
    const violation = mirrorPodViolation(pod, accountOf(pod));
    return violation === undefined ? pass(request) : forbidden(request, '8.5', violation);
  }
  const name = accountOf(pod) || DEFAULT_SERVICE_ACCOUNT;
  if (lookup === undefined || !lookup.found) {
    const why = lookup?.error ?? `serviceaccount "${name}" not found`;
    return forbidden(request, '8.2', `error looking up service account ${request.namespace}/${name}: ${why}`);
  }
  const { account } = lookup;
  if (ephemeral) {
    const why = enforcesMountableSecrets(account)
      ? findForbiddenSecret(pod.spec, account, ['ephemeralContainers'])
      : undefined;
    return why === undefined ? pass(request) : forbidden(request, '8.6', why);
  }
  const trace: TraceStep[] = [];
  const source = `ServiceAccount ${request.namespace}/${name}`;
  if (accountOf(pod) === '') trace.push({ rule: '8.2', says: 'no account is named: default', source });
  let spec = { ...pod.spec, serviceAccountName: name, serviceAccount: name };
  if (spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true) {
    spec = { ...spec, ...mountToken(spec, suffix) };
  }
  const offered = account.imagePullSecrets ?? [];
  if ((spec.imagePullSecrets ?? []).length > 0) {
    trace.push({
      rule: '8.3',
      says: 'the Pod names pull secrets of its own: those of its account are not used',
      source,
    });
  } else if (offered.length > 0) {
    spec.imagePullSecrets = offered.map((secret) => (secret.name === undefined ? {} : { name: secret.name }));
    trace.push({
      rule: '8.3',
      says: `pull secrets of the account: ${offered.map((s) => s.name ?? '""').join(', ')}`,
      source,
    });
  }
  if (enforcesMountableSecrets(account)) {
    const why = findForbiddenSecret(spec, account, ['initContainers', 'containers']);
    if (why !== undefined) return forbidden(request, '8.6', why);
  }
  const admitted: Pod = { ...pod, spec };
  return { result: { allowed: true, object: admitted }, trace };
}

/** The older field `serviceAccount` counts when the newer one is empty. */
function accountOf(pod: Pod): string {
  return pod.spec.serviceAccountName || pod.spec.serviceAccount || '';
}

function isMirrorPod(pod: Pod): boolean {
  return Object.hasOwn(pod.metadata.annotations ?? {}, MIRROR_ANNOTATION);
}

function isPod(object: KubeObject): object is Pod {
  return object.kind === 'Pod' && 'spec' in object;
}
