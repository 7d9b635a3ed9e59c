import type { Container, Pod } from '../kube/pod.ts';
import { usedClaims } from '../kube/pod-claims.ts';
import type { ObjectStore } from './object-store.ts';

interface PodLinks {
  readonly node: string;
  readonly refs: ReadonlySet<string>;
}

/** Knows which Secrets, ConfigMaps, accounts and claims the Pods bound to each node refer to. */
export class NodeGraph {
  readonly #pods = new Map<string, PodLinks>();
  /** node → reference → how many of its Pods make it. */
  readonly #nodes = new Map<string, Map<string, number>>();
  readonly #store: ObjectStore;
  readonly #stop: () => void;

  constructor(store: ObjectStore) {
    this.#store = store;
    this.#stop = store.subscribe('pods', (change) => {
      const pod = change.object as Pod;
      this.#set(podKey(pod), change.type === 'DELETED' ? undefined : pod);
    });
    // Only Pods bound to a node matter here; the others are not even parsed.
    for (const { object } of store.list('pods', { containing: ['"nodeName":'] }).items) {
      this.#set(podKey(object as Pod), object as Pod);
    }
  }

  /** Tells whether a Pod on `node` refers to the object: `secrets`, `configmaps`, `serviceaccounts`, `persistentvolumeclaims`. */
  refersTo(node: string, resource: string, namespace: string, name: string): boolean {
    return this.#nodes.get(node)?.has(`${resource}/${namespace}/${name}`) ?? false;
  }

  /** Tells whether a Pod on `node` uses the claim to which a volume is bound. */
  usesVolume(node: string, volume: string): boolean {
    const found = this.#store.get({ resource: 'persistentvolumes', namespace: '', name: volume })?.object as
      | { spec?: { claimRef?: { namespace?: string; name?: string } } }
      | undefined;
    const claim = found?.spec?.claimRef;
    if (claim === undefined) return false;
    return this.refersTo(node, 'persistentvolumeclaims', claim.namespace ?? '', claim.name ?? '');
  }

  /** Tells whether the Pod is bound to `node`. */
  runs(node: string, namespace: string, name: string): boolean {
    return this.#pods.get(`${namespace}/${name}`)?.node === node;
  }

  close(): void {
    this.#stop();
  }

  #set(key: string, pod: Pod | undefined): void {
    const before = this.#pods.get(key);
    if (before !== undefined) {
      const counts = this.#nodes.get(before.node);
      for (const ref of before.refs) {
        const count = (counts?.get(ref) ?? 1) - 1;
        if (count === 0) counts?.delete(ref);
        else counts?.set(ref, count);
      }
      if (counts?.size === 0) this.#nodes.delete(before.node);
      this.#pods.delete(key);
    }
    const node = pod?.spec.nodeName;
    if (pod === undefined || node === undefined || node === '') return;
    const refs = podReferences(pod);
    this.#pods.set(key, { node, refs });
    let counts = this.#nodes.get(node);
    if (counts === undefined) this.#nodes.set(node, (counts = new Map()));
    for (const ref of refs) counts.set(ref, (counts.get(ref) ?? 0) + 1);
  }
}

function podKey(pod: Pod): string {
  return `${pod.metadata.namespace ?? ''}/${pod.metadata.name}`;
}

/** Returns what a Pod refers to, as `resource/namespace/name`. */
export function podReferences(pod: Pod): Set<string> {
  const namespace = pod.metadata.namespace ?? '';
  const refs = new Set<string>();
  const add = (resource: string, name: string | undefined): void => {
    if (name !== undefined && name !== '') refs.add(`${resource}/${namespace}/${name}`);
  };
  const { spec } = pod;
  add('serviceaccounts', spec.serviceAccountName);
  for (const secret of spec.imagePullSecrets ?? []) add('secrets', secret.name);
  const containers: Container[] = [
    ...spec.containers,
    ...(spec.initContainers ?? []),
    ...(spec.ephemeralContainers ?? []),
  ];
  for (const container of containers) {
    for (const env of container.env ?? []) {
      add('secrets', env.valueFrom?.secretKeyRef?.name);
      add('configmaps', env.valueFrom?.configMapKeyRef?.name);
    }
    for (const from of container.envFrom ?? []) {
      add('secrets', from.secretRef?.name);
      add('configmaps', from.configMapRef?.name);
    }
  }
  for (const claim of usedClaims(pod)) add('persistentvolumeclaims', claim.name);
  for (const volume of spec.volumes ?? []) {
    add('secrets', volume.secret?.secretName);
    add('configmaps', volume.configMap?.name);
    for (const source of volume.projected?.sources ?? []) {
      add('secrets', nameIn(source['secret']));
      add('configmaps', nameIn(source['configMap']));
    }
  }
  return refs;
}

function nameIn(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('name' in value)) return undefined;
  return typeof value.name === 'string' ? value.name : undefined;
}
