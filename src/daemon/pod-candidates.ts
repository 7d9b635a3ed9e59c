import { findCandidates, type NodeEntries, type ProviderEntries } from '../credentials/candidates.ts';
import type { Candidate } from '../credentials/keyring.ts';
import { retrievePullSecrets } from '../credentials/pull-secrets.ts';
import type { Pod } from '../kube/pod.ts';
import type { Secret } from '../kube/secret.ts';
import type { CandidateLookup } from '../kubelet/images/pull-candidate.ts';

/** Finds the credentials of a Pod for an image: its pull secrets, the node's files, the providers (rules 6.17 to 6.22). */
export class PodCandidates implements CandidateLookup {
  readonly #secret: (namespace: string, name: string, signal: AbortSignal) => Promise<Secret | undefined>;
  readonly #nodeFiles: NodeEntries;
  readonly #providers: ProviderEntries | undefined;

  constructor(options: {
    /** Reads a Secret through the API; undefined or an error when it cannot be had. */
    secret: (namespace: string, name: string, signal: AbortSignal) => Promise<Secret | undefined>;
    nodeFiles: NodeEntries;
    providers?: ProviderEntries | undefined;
  }) {
    this.#secret = options.secret;
    this.#nodeFiles = options.nodeFiles;
    this.#providers = options.providers;
  }

  async candidates(pod: Pod, repository: string, signal: AbortSignal): Promise<readonly Candidate[]> {
    const namespace = pod.metadata.namespace ?? 'default';
    const retrieved = await retrievePullSecrets(namespace, pod.spec.imagePullSecrets ?? [], (ns, name) =>
      this.#secret(ns, name, signal),
    );
    const found = await findCandidates(
      {
        image: repository,
        secrets: retrieved.secrets,
        nodeFiles: this.#nodeFiles,
        ...(this.#providers === undefined ? {} : { providers: this.#providers }),
        pod: {
          namespace,
          name: pod.metadata.name,
          uid: pod.metadata.uid ?? '',
          serviceAccountName: pod.spec.serviceAccountName ?? 'default',
        },
      },
      signal,
    );
    return found.result;
  }
}
