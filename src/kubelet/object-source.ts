import type { KubeClient, ResourceType } from '../kube/client/kube-client.ts';
import { isApiError } from '../kube/client/kube-api-error.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Secret } from '../kube/secret.ts';

export const SECRETS: ResourceType = {
  group: '',
  version: 'v1',
  resource: 'secrets',
  kind: 'Secret',
  namespaced: true,
};

export const CONFIG_MAPS: ResourceType = {
  group: '',
  version: 'v1',
  resource: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};

export interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
  /** Values are base64. */
  binaryData?: Record<string, string>;
}

/** Reads the objects that Pods refer to. Each returns undefined when there is no such object. */
export interface ObjectSource {
  secret(namespace: string, name: string, signal: AbortSignal): Promise<Secret | undefined>;
  configMap(namespace: string, name: string, signal: AbortSignal): Promise<ConfigMap | undefined>;
}

/** Reads an object; undefined when there is none. */
export async function findObject<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType,
  name: { readonly namespace?: string; readonly name: string },
  signal: AbortSignal,
): Promise<T | undefined> {
  try {
    return await client.get<T>(type, name, signal);
  } catch (error) {
    if (isApiError(error, 'NotFound')) return undefined;
    throw error;
  }
}

/** Reads from the API server each time: a Pod starts with what is true now. */
export function apiObjects(client: KubeClient): ObjectSource {
  return {
    secret: (namespace, name, signal) => findObject<Secret>(client, SECRETS, { namespace, name }, signal),
    configMap: (namespace, name, signal) =>
      findObject<ConfigMap>(client, CONFIG_MAPS, { namespace, name }, signal),
  };
}

/** An agent that stands alone knows no objects. */
export const NO_OBJECTS: ObjectSource = {
  secret: () => Promise.resolve(undefined),
  configMap: () => Promise.resolve(undefined),
};
