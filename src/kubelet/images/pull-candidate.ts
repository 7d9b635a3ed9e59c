import { credentialHash } from '../../credentials/credential-hash.ts';
import { describeSource, type Candidate } from '../../credentials/keyring.ts';
import type { Pod } from '../../kube/pod.ts';
import type { AuthConfig } from '../../pull/image-service.ts';
import { NO_CREDENTIALS, type RecordedCredentials, type RecordedSecret } from './pull-record.ts';
import type { PodCredentials } from './verification-decision.ts';

/** Finds the credentials that a Pod could use for an image. `credentials/candidates.ts` does it for a real node. */
export interface CandidateLookup {
  /**
   * Returns candidates in the order in which to try them (rules 6.17 to 6.22).
   *
   * @param repository normalised, without tag and digest: `docker.io/library/busybox`
   * @throws an error whose message becomes the container's waiting reason (rules 3.8, 4.12)
   */
  candidates(pod: Pod, repository: string, signal: AbortSignal): Promise<readonly Candidate[]>;
}

/** What goes to the runtime: user and password, nothing else (rule 6.22). */
export function authOf(candidate: Candidate): AuthConfig {
  return { username: candidate.username, password: candidate.password, source: nameOf(candidate) };
}

export function nameOf(candidate: Candidate): string {
  return describeSource(candidate.source);
}

function hashOf(candidate: Candidate): string {
  const { username, password, email } = candidate;
  return credentialHash({ username, password, email });
}

/** Says what to record when a pull succeeded with `candidate`; undefined is a pull without credentials (rule 3.23). */
export function recordedFor(candidate: Candidate | undefined): RecordedCredentials {
  const source = candidate?.source;
  if (candidate !== undefined && source?.kind === 'secret') {
    return { ...NO_CREDENTIALS, kubernetesSecrets: [secretOf(candidate, source)] };
  }
  if (source?.kind === 'service-account') {
    const { uid, namespace, name } = source;
    return { ...NO_CREDENTIALS, kubernetesServiceAccounts: [{ uid, namespace, name }] };
  }
  return { ...NO_CREDENTIALS, nodePodsAccessible: true };
}

/** Takes from a Pod's candidates what can be compared with records: secrets, and the first service account (rule 3.13). */
export function podCredentialsOf(candidates: readonly Candidate[]): PodCredentials {
  const secrets: RecordedSecret[] = [];
  let serviceAccount: PodCredentials['serviceAccount'];
  for (const candidate of candidates) {
    const { source } = candidate;
    if (source.kind === 'secret') secrets.push(secretOf(candidate, source));
    else if (source.kind === 'service-account' && serviceAccount === undefined) {
      serviceAccount = { uid: source.uid, namespace: source.namespace, name: source.name };
    }
  }
  return { secrets, serviceAccount };
}

function secretOf(
  candidate: Candidate,
  source: { uid: string; namespace: string; name: string },
): RecordedSecret {
  const { uid, namespace, name } = source;
  return { uid, namespace, name, credentialHash: hashOf(candidate) };
}
