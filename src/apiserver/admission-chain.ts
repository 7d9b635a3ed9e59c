import type { KubeObject } from '../kube/object.ts';
import type { ResourceInfo } from '../kube/resources.ts';
import type { UserInfo } from './user-info.ts';

/** One write on its way into storage, as admission plugins see it. */
export interface AdmissionRequest {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  readonly resource: ResourceInfo;
  readonly subresource: string;
  readonly namespace: string;
  /** `''` while a generated name is still to come. */
  readonly name: string;
  readonly user: UserInfo;
  readonly dryRun: boolean;
  /** What is to be stored; plugins change it in place or replace it. Absent on delete. */
  object?: KubeObject;
  /** What is stored now. Absent on create. */
  readonly oldObject?: KubeObject;
  /** Texts for `Warning` headers. */
  readonly warnings: string[];
  /** The request's options as a kind of `meta.k8s.io/v1`: CreateOptions, PatchOptions, … */
  readonly options?: object;
  /** What plugins want in the audit log, by key. */
  readonly auditAnnotations?: Map<string, string>;
  /** What the first round of the plugins that change objects left for a second one. */
  readonly rounds?: AdmissionRounds;
}

/** Says whether the plugins that change objects must look again, because a later one changed what they had seen. */
export interface AdmissionRounds {
  round: 1 | 2;
  again: boolean;
}

/** Looks at writes after authorization; throws StatusError to refuse one. */
export interface AdmissionPlugin {
  readonly name: string;
  /** Changes the object before it is validated. */
  admit?(request: AdmissionRequest, signal: AbortSignal): void | Promise<void>;
  /** Checks the object in its final form; never changes it. */
  validate?(request: AdmissionRequest, signal: AbortSignal): void | Promise<void>;
}

/** Runs plugins in the order given. */
export class AdmissionChain {
  readonly #plugins: readonly AdmissionPlugin[];

  constructor(plugins: readonly AdmissionPlugin[]) {
    this.#plugins = plugins;
  }

  async admit(request: AdmissionRequest, signal: AbortSignal): Promise<void> {
    const rounds: AdmissionRounds = { round: 1, again: false };
    const seen: AdmissionRequest = { ...request, rounds };
    await this.#admitOnce(seen, signal);
    if (rounds.again) {
      rounds.round = 2;
      await this.#admitOnce(seen, signal);
    }
    if (seen.object !== undefined) request.object = seen.object;
  }

  async validate(request: AdmissionRequest, signal: AbortSignal): Promise<void> {
    for (const plugin of this.#plugins) {
      const judging = plugin.validate?.(request, signal);
      if (judging !== undefined) await judging;
    }
  }

  async #admitOnce(request: AdmissionRequest, signal: AbortSignal): Promise<void> {
    for (const plugin of this.#plugins) {
      // Most plugins have nothing to wait for, and a turn for each would be felt.
      const changing = plugin.admit?.(request, signal);
      if (changing !== undefined) await changing;
    }
  }
}
