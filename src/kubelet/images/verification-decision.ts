import type { Traced, TraceStep } from '../../base/trace.ts';
import { ReferenceError, trimTagAndDigest } from '../../oci/reference.ts';
import type { ImageAllowlist } from './image-allowlist.ts';
import {
  sameObject,
  type PulledRecord,
  type RecordedCredentials,
  type RecordedSecret,
  type RecordedServiceAccount,
} from './pull-record.ts';
import { requiresVerification, type VerificationPolicy } from './verification-policy.ts';

/** Secrets in one record beyond which matches are no longer written down (rule 3.12, step 10). */
export const MAX_LEARNED_SECRETS = 100;

export interface VerificationInput {
  /** Image string as in the Pod. */
  readonly image: string;
  /** Empty when the image is absent. */
  readonly imageRef: string;
  readonly policy: VerificationPolicy;
  readonly allowlist: ImageAllowlist;
  /** `unreadable` when looking failed. */
  readonly record: PulledRecord | undefined | 'unreadable';
  /** An intent counted in memory or written on disk; `unreadable` when looking failed. */
  readonly intent: boolean | 'unreadable';
}

/** Either the answer, or the recorded credentials with which the Pod's own must be compared. */
export type VerificationOutcome =
  | { readonly pull: boolean; readonly why: 'policy' | 'record' | 'must-authenticate' | 'absent' | 'error' }
  | { readonly compareWith: RecordedCredentials };

/** Decides, without looking at credentials, whether a Pod may use a present image without pulling it (rule 3.12, steps 1 to 8). */
export function decideVerification(input: VerificationInput): Traced<VerificationOutcome> {
  const step = (n: number, says: string): TraceStep => ({ rule: '3.12', says: `${says} (step ${n})` });
  const pull = (
    n: number,
    says: string,
    why: 'must-authenticate' | 'absent' | 'error' = 'must-authenticate',
  ): Traced<VerificationOutcome> => ({ result: { pull: true, why }, trace: [step(n, says)] });
  const { record, intent } = input;
  if (input.imageRef === '') return pull(1, 'the image is absent: pull', 'absent');
  if (record === 'unreadable') return pull(2, 'the pull record cannot be read: pull', 'error');
  if (record === undefined && intent === 'unreadable')
    return pull(3, 'the pull intent cannot be read: pull', 'error');
  const pulledByKubelet = record !== undefined || intent === true;
  const origin: TraceStep = step(
    3,
    pulledByKubelet ? 'this node pulled the image' : 'the image was preloaded',
  );
  if (!requiresVerification(input.policy, input.allowlist, input.image, pulledByKubelet)) {
    return {
      result: { pull: false, why: 'policy' },
      trace: [
        origin,
        { rule: '3.14', says: `policy ${input.policy} lets every Pod of the node use it: no pull` },
      ],
    };
  }
  const must: TraceStep = { rule: '3.14', says: `policy ${input.policy} asks for a proof` };
  const answer = recorded(input.image, record, pull);
  return { result: answer.result, trace: [origin, must, ...answer.trace] };
}

function recorded(
  image: string,
  record: PulledRecord | undefined,
  pull: (n: number, says: string) => Traced<VerificationOutcome>,
): Traced<VerificationOutcome> {
  if (record === undefined) return pull(5, 'there is no pull record: pull');
  const name = trimmed(image);
  if (name === undefined) return pull(6, `the name of "${image}" cannot be read: pull`);
  const known = record.credentialMapping.get(name);
  if (known === undefined) return pull(6, `the record does not know the image as "${name}": pull`);
  if (known.nodePodsAccessible) {
    return {
      result: { pull: false, why: 'record' },
      trace: [
        { rule: '3.12', says: 'the record opens the image to every Pod of the node: no pull (step 7)' },
      ],
    };
  }
  if (known.kubernetesSecrets.length === 0 && known.kubernetesServiceAccounts.length === 0)
    return pull(8, 'the record names no credential: pull');
  return {
    result: { compareWith: known },
    trace: [{ rule: '3.12', says: 'the record names credentials: compare with those of the Pod (step 9)' }],
  };
}

function trimmed(image: string): string | undefined {
  try {
    return trimTagAndDigest(image);
  } catch (error) {
    if (error instanceof ReferenceError) return undefined;
    throw error;
  }
}

/** What a Pod can show: its pull secrets in order, and its service account when a credential came through it (rule 3.13). */
export interface PodCredentials {
  readonly secrets: readonly RecordedSecret[];
  readonly serviceAccount: RecordedServiceAccount | undefined;
}

export interface CredentialMatch {
  readonly pull: boolean;
  /** A secret to add to the record, or to store with its new hash. */
  readonly learn?: RecordedSecret;
}

/** Compares a Pod's credentials with the recorded ones (rule 3.12, steps 10 to 12). */
export function matchCredentials(known: RecordedCredentials, pod: PodCredentials): Traced<CredentialMatch> {
  const roomLeft = known.kubernetesSecrets.length < MAX_LEARNED_SECRETS;
  for (const secret of pod.secrets) {
    const source = `Secret ${secret.namespace}/${secret.name}`;
    for (const other of known.kubernetesSecrets) {
      const same = sameObject(secret, other);
      if (other.credentialHash !== '' && secret.credentialHash === other.credentialHash) {
        const result = { pull: false, ...(!same && roomLeft ? { learn: secret } : {}) };
        const says = same
          ? 'the secret is recorded: no pull (step 10)'
          : 'the secret holds a recorded credential: no pull (step 10)';
        return { result, trace: [{ rule: '3.12', says, source }] };
      }
      if (same && roomLeft) {
        return {
          result: { pull: false, learn: secret },
          trace: [
            { rule: '3.12', says: 'the secret is recorded with an older content: no pull (step 10)', source },
          ],
        };
      }
    }
  }
  const account = pod.serviceAccount;
  if (account !== undefined && known.kubernetesServiceAccounts.some((other) => sameObject(account, other))) {
    const source = `ServiceAccount ${account.namespace}/${account.name}`;
    return {
      result: { pull: false },
      trace: [{ rule: '3.12', says: 'the service account is recorded: no pull (step 11)', source }],
    };
  }
  return {
    result: { pull: true },
    trace: [{ rule: '3.12', says: 'no credential of the Pod is recorded: pull (step 12)' }],
  };
}
