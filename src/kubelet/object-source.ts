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

/** Reads from the API server each time: a Pod starts with what is true now. */
export function apiObjects(client: KubeClient): ObjectSource {
  const get = async <T extends KubeObject>(
    type: ResourceType,
    namespace: string,
    name: string,
    signal: AbortSignal,
  ): Promise<T | undefined> => {
    try {
      return await client.get<T>(type, { namespace, name }, signal);
    } catch (error) {
      if (isApiError(error, 'NotFound')) return undefined;
      throw error;
    }
  };
  return {
    secret: (namespace, name, signal) => get<Secret>(SECRETS, namespace, name, signal),
    configMap: (namespace, name, signal) => get<ConfigMap>(CONFIG_MAPS, namespace, name, signal),
  };
}

/** An agent that stands alone knows no objects. */
export const NO_OBJECTS: ObjectSource = {
  secret: () => Promise.resolve(undefined),
  configMap: () => Promise.resolve(undefined),
};
