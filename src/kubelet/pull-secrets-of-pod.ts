import { findCandidates, type NodeEntries, type ProviderEntries } from '../credentials/candidates.ts';
import { retrievePullSecrets } from '../credentials/pull-secrets.ts';
import type { Candidate } from '../credentials/keyring.ts';
import { LruMap } from '../base/lru-map.ts';
import type { TraceStep } from '../base/trace.ts';
import type { Pod } from '../kube/pod.ts';
import type { Secret } from '../kube/secret.ts';
import type { EventRecorder } from './ensure-image.ts';
import type { ObjectSource } from './object-source.ts';
import { podEventObject, podNamespace, podUid } from './pod-reference.ts';

/** Pods whose secrets are kept between their own syncs: more than fit on a node. */
const MAX_PODS = 1000;

/** Reads a Pod's pull secrets once a sync, with the event for those that are missing (rules 4.1 and 6.20). */
export class PodPullSecrets {
  readonly #objects: ObjectSource;
  readonly #recorder: EventRecorder;
  readonly #secrets = new LruMap<string, readonly Secret[]>(MAX_PODS);

  constructor(options: { objects: ObjectSource; recorder: EventRecorder }) {
    this.#objects = options.objects;
    this.#recorder = options.recorder;
  }

  /** Reads them anew; missing ones are left out and reported in an event. */
  async refresh(pod: Pod, signal: AbortSignal): Promise<readonly Secret[]> {
    const named = pod.spec.imagePullSecrets ?? [];
    if (named.length === 0) {
      this.#secrets.delete(podUid(pod));
      return [];
    }
    const { secrets, warning } = await retrievePullSecrets(podNamespace(pod), named, (namespace, name) =>
      this.#objects.secret(namespace, name, signal),
    );
    signal.throwIfAborted();
    if (warning !== undefined) {
      this.#recorder.event(podEventObject(pod), 'Warning', warning.reason, warning.message);
    }
    this.#secrets.set(podUid(pod), secrets);
    return secrets;
  }

  /** Returns what the last `refresh` read. */
  async of(pod: Pod, signal: AbortSignal): Promise<readonly Secret[]> {
    if ((pod.spec.imagePullSecrets ?? []).length === 0) return [];
    return this.#secrets.get(podUid(pod)) ?? (await this.refresh(pod, signal));
  }

  forget(uid: string): void {
    this.#secrets.delete(uid);
  }
}

export interface PodCandidatesOptions {
  readonly secrets: PodPullSecrets;
  readonly nodeFiles?: NodeEntries;
  readonly providers?: ProviderEntries;
  readonly onTrace?: (pod: Pod, trace: readonly TraceStep[]) => void;
}

/** Finds the credentials that a Pod on this node could use (rules 6.17 to 6.22). */
export function podCandidates(options: PodCandidatesOptions): {
  candidates(pod: Pod, repository: string, signal: AbortSignal): Promise<readonly Candidate[]>;
} {
  return {
    candidates: async (pod, repository, signal) => {
      const { result, trace } = await findCandidates(
        {
          image: repository,
          secrets: await options.secrets.of(pod, signal),
          ...(options.nodeFiles === undefined ? {} : { nodeFiles: options.nodeFiles }),
          ...(options.providers === undefined ? {} : { providers: options.providers }),
          pod: {
            namespace: podNamespace(pod),
            name: pod.metadata.name,
            uid: podUid(pod),
            serviceAccountName: pod.spec.serviceAccountName ?? 'default',
          },
        },
        signal,
      );
      options.onTrace?.(pod, trace);
      return result;
    },
  };
}
