import { join } from 'node:path';
import type { Pod } from '../kube/pod.ts';
import { podNamespace, podUid } from './pod-reference.ts';

/** Where the node agent keeps what belongs to a Pod; the layout below `pods` and `pod-logs` is the kubelet's. */
export class PodPaths {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  get pods(): string {
    return join(this.root, 'pods');
  }

  get logs(): string {
    return join(this.root, 'pod-logs');
  }

  pod(uid: string): string {
    return join(this.pods, uid);
  }

  /** Directory of one volume: `volumes/kubernetes.io~secret/NAME`. */
  volume(uid: string, plugin: string, name: string): string {
    return join(this.pod(uid), 'volumes', `kubernetes.io~${plugin}`, name);
  }

  etcHosts(uid: string): string {
    return join(this.pod(uid), 'etc-hosts');
  }

  /** File that a container writes its last words to. */
  terminationLog(uid: string, container: string, attempt: number): string {
    return join(this.pod(uid), 'containers', container, String(attempt));
  }

  /** `NAMESPACE_NAME_UID`, as log collectors expect it. */
  logDirectory(pod: Pod): string {
    return join(this.logs, `${podNamespace(pod)}_${pod.metadata.name}_${podUid(pod)}`);
  }
}
