import type { KubeObject } from '../kube/object.ts';
import type { ResourceInfo } from '../kube/resources.ts';
import type { UserInfo } from './user-info.ts';

/** One write on its way into storage, as admission plugins see it. */
export interface AdmissionRequest {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE';
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
    for (const plugin of this.#plugins) await plugin.admit?.(request, signal);
  }

  async validate(request: AdmissionRequest, signal: AbortSignal): Promise<void> {
    for (const plugin of this.#plugins) await plugin.validate?.(request, signal);
  }
}
