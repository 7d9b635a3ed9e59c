import { HttpKubeClient } from '../kube/client/http-kube-client.ts';
import { isApiError } from '../kube/client/kube-api-error.ts';
import type { KubeClient, ResourceType } from '../kube/client/kube-client.ts';
import { loadKubeconfig } from '../kube/client/kubeconfig.ts';
import type { KubeObject } from '../kube/object.ts';
import { isDigest } from '../oci/digest.ts';
import { parseDockerReference } from '../oci/reference.ts';

/** A cluster, as kubectl names it. */
export interface ClusterSource {
  readonly kubeconfig: string;
  /** The file's current one by default. */
  readonly context?: string;
}

/** Objects asked for at a time. */
const PAGE = 500;

function kind(group: string, version: string, resource: string, name: string): ResourceType {
  return { group, version, resource, kind: name, namespaced: true };
}

/** Everything that has Pods or makes them. Old ReplicaSets are among it: a roll-out may be undone. */
const KINDS: readonly ResourceType[] = [
  kind('', 'v1', 'pods', 'Pod'),
  kind('', 'v1', 'podtemplates', 'PodTemplate'),
  kind('', 'v1', 'replicationcontrollers', 'ReplicationController'),
  kind('apps', 'v1', 'deployments', 'Deployment'),
  kind('apps', 'v1', 'replicasets', 'ReplicaSet'),
  kind('apps', 'v1', 'statefulsets', 'StatefulSet'),
  kind('apps', 'v1', 'daemonsets', 'DaemonSet'),
  kind('apps', 'v1', 'controllerrevisions', 'ControllerRevision'),
  kind('batch', 'v1', 'jobs', 'Job'),
  kind('batch', 'v1', 'cronjobs', 'CronJob'),
];

/**
 * Returns what Pods and templates of clusters name in all namespaces, as a registry's retention takes it: digests, and
 * `path:tag` without the registry's host, which each cluster may call differently.
 *
 * @throws KubeconfigError, KubeApiError when one of the clusters cannot be asked: nobody knows then what it uses
 */
export async function clusterImages(
  sources: readonly ClusterSource[],
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const images = new Set<string>();
  for (const { kubeconfig, context } of sources) {
    const client = new HttpKubeClient({
      ...(await loadKubeconfig(kubeconfig, context)),
      userAgent: 'dray-registry',
    });
    try {
      for (const type of KINDS) {
        for await (const object of listAll(client, type, signal)) collectImages(object, images);
      }
    } finally {
      await client.close();
    }
  }
  return images;
}

async function* listAll(
  client: KubeClient,
  type: ResourceType,
  signal: AbortSignal,
): AsyncGenerator<KubeObject> {
  let token: string | undefined;
  do {
    try {
      const options = { limit: PAGE, ...(token === undefined ? {} : { continue: token }) };
      const page = await client.list(type, options, signal);
      yield* page.items;
      token = page.metadata.continue === '' ? undefined : page.metadata.continue;
    } catch (error) {
      // A cluster without the kind has no object of it. Any other refusal must be seen.
      if (isApiError(error, 'NotFound')) return;
      throw error;
    }
  } while (token !== undefined);
}

/** Finds images wherever a Pod or a template of one names them, in its specification and in its status. */
function collectImages(value: unknown, images: Set<string>): void {
  if (Array.isArray(value)) {
    for (const item of value) collectImages(item, images);
  } else if (typeof value === 'object' && value !== null) {
    for (const [field, inner] of Object.entries(value)) {
      if (typeof inner === 'string') {
        // An image volume names its image in `reference`.
        if (field === 'image' || field === 'imageID' || field === 'reference') addImage(inner, images);
      } else if (field !== 'metadata') collectImages(inner, images);
    }
  }
}

function addImage(text: string, images: Set<string>): void {
  const digest = /[a-z0-9]+:[0-9a-f]{64,128}$/.exec(text)?.[0];
  if (digest !== undefined && isDigest(digest)) images.add(digest);
  try {
    const { path, tag } = parseDockerReference(text);
    if (tag !== undefined) images.add(`${path}:${tag}`);
  } catch {
    // What is no image name can name nothing here: it waits for its author, or is no image at all.
  }
}
