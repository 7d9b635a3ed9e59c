import type { KubeObject } from '../kube/object.ts';
import type { ResourceType } from '../kube/client/kube-client.ts';
import { queueKey, unless, type ControllerContext } from './controller-context.ts';
import { CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS } from './resource-types.ts';

const ROOT_CA_NAME = 'kube-root-ca.crt';
const ROOT_CA_DESCRIPTION =
  'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.';

interface Namespace extends KubeObject {
  status?: { phase?: string };
}

interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}

/** Gives each active namespace its `default` service account, and again when somebody deletes it. */
export function startServiceAccountController(context: ControllerContext): void {
  keepInEachNamespace(context, SERVICE_ACCOUNTS, 'default', async (namespace, present, signal) => {
    if (present !== undefined) return;
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } };
    await unless(['AlreadyExists'], context.client.create(SERVICE_ACCOUNTS, account, signal));
  });
}

/** Publishes the certificate of the cluster's CA in each active namespace, and repairs it when it was changed. */
export function startRootCaController(context: ControllerContext, rootCa: string): void {
  const data = { 'ca.crt': rootCa };
  keepInEachNamespace(context, CONFIG_MAPS, ROOT_CA_NAME, async (namespace, found, signal) => {
    const present: ConfigMap | undefined = found;
    if (present !== undefined) {
      if (present.data?.['ca.crt'] === rootCa && Object.keys(present.data).length === 1) return;
      await context.client.update(CONFIG_MAPS, { ...present, data }, signal);
      return;
    }
    const annotations = { 'kubernetes.io/description': ROOT_CA_DESCRIPTION };
    const map: ConfigMap = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: ROOT_CA_NAME, namespace, annotations },
      data,
    };
    await unless(['AlreadyExists'], context.client.create(CONFIG_MAPS, map, signal));
  });
}

function keepInEachNamespace(
  context: ControllerContext,
  type: ResourceType,
  name: string,
  reconcile: (namespace: string, present: KubeObject | undefined, signal: AbortSignal) => Promise<void>,
): void {
  const namespaces = context.informer<Namespace>(NAMESPACES);
  const objects = context.informer(type);
  const queue = context.queue(`keep ${type.resource} "${name}" in namespace`, async (key, signal) => {
    const namespace = namespaces.get(undefined, key);
    if (namespace === undefined || namespace.metadata.deletionTimestamp !== undefined) return;
    await unless(['NotFound', 'Forbidden'], reconcile(key, objects.get(key, name), signal));
  });
  // Nothing is decided before both copies are there, or everything would seem to be missing.
  void Promise.all([namespaces.synced(), objects.synced()]).then(
    () => {
      namespaces.onChange(({ type: change, object }) => {
        if (change !== 'deleted') queue.add(queueKey(object).slice(1));
      });
      objects.onChange(({ type: change, object }) => {
        if (object.metadata.name === name && change !== 'added') queue.add(object.metadata.namespace ?? '');
      });
    },
    () => undefined,
  );
}
