import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/coded-error.ts';
import { isApiError } from '../../kube/client/kube-api-error.ts';
import type { Informer, KubeClient } from '../../kube/client/kube-client.ts';
import type { Pod } from '../../kube/pod.ts';
import type { Logger } from '../../observe/logger.ts';
import { podNamespace, podUid } from '../pod-reference.ts';
import { PODS } from '../status-manager.ts';
import { CONFIG_MIRROR, fullName, isMirrorPod, mirroredHash } from './static-pod-marks.ts';
import type { StaticPods } from './static-pods.ts';

/** Time between two looks at Pods whose mirror could not be made or removed. */
const RETRY_MS = 10_000;

export interface MirrorPodsOptions {
  readonly client: KubeClient;
  readonly pods: Informer<Pod>;
  readonly statics: StaticPods;
  /** The Node, which owns the mirrors. */
  readonly node: () => { readonly name: string; readonly uid: string } | undefined;
  /** Told when a mirror is there to be told the status of its Pod. */
  readonly appeared: (staticUid: string) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Shows the static Pods of this node in the API, where they can be seen and not changed. */
export class MirrorPods {
  readonly #options: MirrorPodsOptions;
  readonly #uids = new Map<string, string>();
  readonly #due = new Set<string>();
  #wake = new AbortController();

  constructor(options: MirrorPodsOptions) {
    this.#options = options;
    options.pods.onChange(({ type, object }) => {
      if (!isMirrorPod(object)) return;
      const hash = mirroredHash(object) ?? '';
      if (type === 'deleted') {
        if (this.#uids.get(hash) === podUid(object)) this.#uids.delete(hash);
      } else if (this.#uids.get(hash) !== podUid(object)) {
        this.#uids.set(hash, podUid(object));
        options.appeared(hash);
      }
      this.look(fullName(object));
    });
  }

  /** UID of the mirror of a static Pod; undefined while there is none. */
  uidOf(staticUid: string): string | undefined {
    return this.#uids.get(staticUid);
  }

  /** Has the mirror of a Pod looked at soon. */
  look(name: string): void {
    this.#due.add(name);
    this.#wake.abort();
  }

  /** Makes and removes mirrors until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    while (!signal.aborted) {
      this.#wake = new AbortController();
      const due = [...this.#due];
      this.#due.clear();
      for (const name of due) {
        await this.#settle(name, signal).catch((error: unknown) => {
          if (signal.aborted) return;
          this.#due.add(name);
          logger.warn({ pod: name, error: messageOf(error) }, 'cannot keep the mirror of a static Pod');
        });
      }
      if (this.#wake.signal.aborted) continue;
      // Being woken is the usual end of this wait.
      await clock.sleep(RETRY_MS, AbortSignal.any([signal, this.#wake.signal])).catch(() => undefined);
    }
  }

  async #settle(name: string, signal: AbortSignal): Promise<void> {
    const { statics, pods } = this.#options;
    const wanted = statics.get(name);
    const slash = name.indexOf('/');
    const shown = pods.get(name.slice(0, slash), name.slice(slash + 1));
    const mirror = shown !== undefined && isMirrorPod(shown) ? shown : undefined;
    if (mirror !== undefined) {
      const right = wanted !== undefined && mirroredHash(mirror) === podUid(wanted);
      if (right && mirror.metadata.deletionTimestamp === undefined) return;
      // The mirror of a Pod that still ends stays until it has.
      if (wanted === undefined && statics.has(name)) return;
      await this.#remove(mirror, signal);
      if (wanted === undefined) return;
    }
    if (wanted !== undefined) await this.#create(wanted, signal);
  }

  async #remove(mirror: Pod, signal: AbortSignal): Promise<void> {
    const name = { namespace: podNamespace(mirror), name: mirror.metadata.name };
    try {
      await this.#options.client.delete(PODS, name, signal, {
        gracePeriodSeconds: 0,
        preconditions: { uid: podUid(mirror) },
      });
    } catch (error) {
      if (!isApiError(error, 'NotFound', 'Conflict')) throw error;
    }
  }

  async #create(pod: Pod, signal: AbortSignal): Promise<void> {
    const owner = this.#options.node();
    if (owner === undefined) throw new Error('the Node is not registered yet');
    const { uid, creationTimestamp: _, ...metadata } = pod.metadata;
    const mirror: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        ...metadata,
        annotations: { ...metadata.annotations, [CONFIG_MIRROR]: uid ?? '' },
        ownerReferences: [
          { apiVersion: 'v1', kind: 'Node', name: owner.name, uid: owner.uid, controller: true },
        ],
      },
      spec: pod.spec,
    };
    try {
      await this.#options.client.create(PODS, mirror, signal);
    } catch (error) {
      // One that the watch has not shown yet.
      if (!isApiError(error, 'AlreadyExists')) throw error;
    }
  }
}
