import type { Traced, TraceStep } from '../base/trace.ts';
import { describeSource, explainLookup, lookup, type Candidate, type KeyringEntry } from './keyring.ts';
import type { NodeFilesResult } from './node-files.ts';
import { secretEntries, whyUnusable, type PullSecret } from './pull-secrets.ts';

/** Whose pull it is: credential providers may act for the Pod's service account (9.17–9.22). */
export interface PodIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly serviceAccountName: string;
}

/** The plug-ins of a node as one source of entries: `CredentialProviders` is it. */
export interface ProviderEntries {
  /** Entries of all providers that match, in configuration order; never fails: a failing provider gives none (9.11). */
  entriesFor(
    repository: string,
    pod: PodIdentity | undefined,
    signal: AbortSignal,
  ): Promise<Traced<readonly KeyringEntry[]>>;
}

/** The node's login files as one source of entries: `NodeFiles` is it. */
export interface NodeEntries {
  read(): Promise<NodeFilesResult>;
}

export interface CandidateRequest {
  /** Normalised repository without tag or digest: `docker.io/library/busybox` (6.11). */
  readonly image: string;
  /** The Pod's pull secrets in the order in which it names them. */
  readonly secrets: readonly PullSecret[];
  readonly nodeFiles?: NodeEntries;
  readonly providers?: ProviderEntries;
  readonly pod?: PodIdentity;
  /** Adds a step for every entry, matching or not; otherwise only for groups and candidates. Costs time with many entries. */
  readonly explain?: boolean;
}

/**
 * Finds the credentials to try for an image, best first: pull secrets, then the node's files, then credential providers,
 * nothing left out and nothing merged (rules 6.17–6.22). None means an anonymous pull (3.19).
 *
 * @throws MalformedSecretError when a usable pull secret cannot be read: the pull fails with its message (6.19)
 */
export async function findCandidates(
  request: CandidateRequest,
  signal: AbortSignal,
): Promise<Traced<readonly Candidate[]>> {
  const trace: TraceStep[] = [];
  const result: Candidate[] = [];
  const addGroup = (name: string, entries: readonly KeyringEntry[]): void => {
    const found = lookup(entries, request.image);
    trace.push({ rule: '6.17', says: `${name}: ${found.length} of ${entries.length} entries match` });
    if (request.explain === true) trace.push(...explainLookup(entries, request.image));
    for (const candidate of found) {
      result.push(candidate);
      trace.push({
        rule: '6.14',
        says: `candidate ${result.length}: key "${candidate.key}"`,
        source: describeSource(candidate.source),
      });
    }
  };

  const fromSecrets: KeyringEntry[] = [];
  for (const secret of request.secrets) {
    const entries = secretEntries(secret);
    if (entries !== undefined) {
      for (const entry of entries) fromSecrets.push(entry);
    } else {
      trace.push({
        rule: '6.19',
        says: whyUnusable(secret) ?? 'holds nothing: ignored',
        source: `Secret ${secret.metadata.namespace ?? ''}/${secret.metadata.name}`,
      });
    }
  }
  addGroup('pull secrets', fromSecrets);

  if (request.nodeFiles !== undefined) {
    const node = await request.nodeFiles.read();
    if (request.explain === true) trace.push(...node.trace);
    addGroup('login files of the node', node.entries);
  }
  if (request.providers !== undefined) {
    const provided = await request.providers.entriesFor(request.image, request.pod, signal);
    trace.push(...provided.trace);
    addGroup('credential providers', provided.result);
  }
  if (result.length === 0) trace.push({ rule: '3.19', says: 'no candidate: one anonymous pull' });
  return { result, trace };
}
