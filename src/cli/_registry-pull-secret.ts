import { dockerRegistrySecret, type DockerRegistrySecret } from '../credentials/docker-registry-secret.ts';
import { HttpKubeClient } from '../kube/client/http-kube-client.ts';
import { isApiError } from '../kube/client/kube-api-error.ts';
import { loadKubeconfig } from '../kube/client/kubeconfig.ts';
import type { ResourceType } from '../kube/client/kube-client.ts';
import type { KubeObject } from '../kube/object.ts';

interface ServiceAccount extends KubeObject {
  imagePullSecrets?: { name: string }[];
}

const FIELD_MANAGER = 'dray-registry';
/** Others change a ServiceAccount rarely; more conflicts than this are something else. */
const LINK_ATTEMPTS = 5;
const SECRETS: ResourceType = {
  group: '',
  version: 'v1',
  resource: 'secrets',
  kind: 'Secret',
  namespaced: true,
};
const SERVICE_ACCOUNTS: ResourceType = {
  group: '',
  version: 'v1',
  resource: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
};

/** Makes the pull secret of a robot. */
export function pullSecret(
  robot: { readonly name: string; readonly secret: string },
  options: { server: string; namespace?: string | undefined; secretName?: string | undefined },
): Promise<DockerRegistrySecret> {
  return dockerRegistrySecret({
    // Repository paths may have underscores, names of objects may not.
    name: options.secretName ?? robot.name.replaceAll(/[^a-z0-9.-]+/g, '-'),
    ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
    server: options.server,
    username: robot.name,
    password: robot.secret,
  });
}

/** Applies a pull secret to a cluster and lets a ServiceAccount's Pods use it. @throws KubeApiError, KubeconfigError */
export async function applyPullSecret(
  secret: DockerRegistrySecret,
  cluster: { kubeconfig: string; context?: string | undefined; namespace: string; serviceAccount: string },
  signal: AbortSignal,
): Promise<void> {
  const client = new HttpKubeClient({
    ...(await loadKubeconfig(cluster.kubeconfig, cluster.context)),
    userAgent: FIELD_MANAGER,
  });
  const { namespace } = cluster;
  const { name } = secret.metadata;
  try {
    const options = { fieldManager: FIELD_MANAGER, force: true };
    await client.patch(SECRETS, { namespace, name }, secret, 'apply', signal, options);
    await link(client, { namespace, name: cluster.serviceAccount }, name, signal);
  } finally {
    await client.close();
  }
}

/** Adds a secret to those of a ServiceAccount; patches replace the whole list, so what was read must still hold. */
async function link(
  client: HttpKubeClient,
  account: { namespace: string; name: string },
  secretName: string,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const found = await client.get<ServiceAccount>(SERVICE_ACCOUNTS, account, signal);
    const linked = found.imagePullSecrets ?? [];
    if (linked.some(({ name }) => name === secretName)) return;
    const changed = { ...found, imagePullSecrets: [...linked, { name: secretName }] };
    try {
      await client.update(SERVICE_ACCOUNTS, changed, signal);
      return;
    } catch (error) {
      if (!isApiError(error, 'Conflict') || attempt === LINK_ATTEMPTS) throw error;
    }
  }
}
