import { createInformer } from '../../src/kube/client/informer.ts';
import type { ResourceType } from '../../src/kube/client/kube-client.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import type { PodSpec } from '../../src/kube/pod.ts';
import { EVENTS, NAMESPACES, SERVICE_ACCOUNTS } from '../../src/controllers/resource-types.ts';
import { startControllers } from '../../src/controllers/start-controllers.ts';
import { startTestApi, type TestApi } from './test-api.ts';
import { startTestNode } from './test-node.ts';

/** After so long a state that a test waits for will not come any more. */
const PATIENCE_MS = 20_000;

/** An API server, all controllers, and nodes that report what they are told. */
export interface TestCluster {
  readonly api: TestApi;
  readonly signal: AbortSignal;
  /** Waits until what a namespace holds of a kind satisfies `holds`. */
  until<T extends KubeObject>(
    type: ResourceType,
    namespace: string,
    holds: (objects: T[]) => boolean,
  ): Promise<T[]>;
  /** Waits for an event whose line, `TYPE REASON MESSAGE`, is matched. */
  told(namespace: string, line: string | RegExp): Promise<void>;
  /** Makes a namespace and waits until Pods can be made in it. */
  newNamespace(name: string): Promise<void>;
  make(type: ResourceType, namespace: string, name: string, spec: object): Promise<KubeObject>;
  remove(
    type: ResourceType,
    namespace: string,
    name: string,
    propagationPolicy?: 'Foreground' | 'Background' | 'Orphan',
  ): Promise<void>;
  patch(type: ResourceType, namespace: string, name: string, patch: object): Promise<void>;
  close(): Promise<void>;
}

/** @param nodes name → labels */
export async function startTestCluster(
  nodes: Readonly<Record<string, Record<string, string>>>,
): Promise<TestCluster> {
  const api = await startTestApi();
  const stop = new AbortController();
  const { signal } = stop;
  const directories = { path: `${api.directory}/volumes`, remove: () => Promise.resolve() };
  await startControllers(api.client, { rootCa: api.pki.ca.cert, directories }, signal).ready();
  const started: { stopped: Promise<void> }[] = [];
  for (const [name, labels] of Object.entries(nodes)) {
    started.push(await startTestNode(api, name, signal, { labels }));
  }

  async function until<T extends KubeObject>(
    type: ResourceType,
    namespace: string,
    holds: (objects: T[]) => boolean,
  ): Promise<T[]> {
    const done = new AbortController();
    const informer = createInformer<T>(api.client, type, type.namespaced ? { namespace } : {}, done.signal);
    const state = (): unknown[] =>
      informer.values().map((object) => ({ ...object, spec: undefined, metadata: object.metadata.name }));
    try {
      await informer.synced();
      return await new Promise<T[]>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`still: ${JSON.stringify(state())}`)), PATIENCE_MS);
        const look = (): void => {
          if (!holds(informer.values())) return;
          clearTimeout(timer);
          resolve(informer.values());
        };
        informer.onChange(look);
        look();
      });
    } finally {
      done.abort();
    }
  }

  return {
    api,
    signal,
    until,
    told: async (namespace, line) => {
      type Event = KubeObject & { type?: string; reason?: string; message?: string };
      const lineOf = ({ type, reason, message }: Event): string =>
        `${type ?? ''} ${reason ?? ''} ${message ?? ''}`;
      await until<Event>(EVENTS, namespace, (events) =>
        events.map(lineOf).some((told) => (typeof line === 'string' ? told === line : line.test(told))),
      );
    },
    newNamespace: async (name) => {
      await api.client.create(
        NAMESPACES,
        { apiVersion: 'v1', kind: 'Namespace', metadata: { name } },
        signal,
      );
      await until(SERVICE_ACCOUNTS, name, (accounts) => accounts.length > 0);
    },
    make: (type, namespace, name, spec) => {
      const metadata = type.namespaced ? { name, namespace } : { name };
      const apiVersion = type.group === '' ? type.version : `${type.group}/${type.version}`;
      return api.client.create(type, { apiVersion, kind: type.kind, metadata, spec } as KubeObject, signal);
    },
    remove: (type, namespace, name, propagationPolicy) =>
      api.client.delete(
        type,
        { ...(type.namespaced ? { namespace } : {}), name },
        signal,
        propagationPolicy === undefined ? {} : { propagationPolicy },
      ),
    patch: async (type, namespace, name, patch) => {
      const target = { ...(type.namespaced ? { namespace } : {}), name };
      await api.client.patch(type, target, patch, 'merge', signal);
    },
    close: async () => {
      stop.abort();
      for (const node of started) await node.stopped;
      await api.close();
    },
  };
}

/** A Pod template with one container and the label `app`. */
export function templateOf(app: string, image: string, more: Partial<PodSpec> = {}): object {
  return { metadata: { labels: { app } }, spec: { containers: [{ name: 'a', image }], ...more } };
}

/** The spec of a workload whose Pods bear the label `app`. */
export function workloadOf(app: string, image: string, more: object = {}): object {
  return { selector: { matchLabels: { app } }, template: templateOf(app, image), ...more };
}

export function statusOf(object: KubeObject | undefined): Record<string, unknown> {
  return (object as { status?: Record<string, unknown> } | undefined)?.status ?? {};
}
