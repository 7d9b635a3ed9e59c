import type { Container, EnvVar, Pod } from '../../kube/pod.ts';
import { ContainerConfigError } from '../container-config-error.ts';
import type { ConfigMap, ObjectSource } from '../object-source.ts';
import type { Secret } from '../../kube/secret.ts';
import { podNamespace } from '../pod-reference.ts';
import { expand } from './expand.ts';
import { fieldValue, type PodAddresses } from './field-reference.ts';
import { resourceValue, type NodeCapacity } from './resource-reference.ts';

export interface EnvSources {
  readonly objects: ObjectSource;
  readonly addresses: PodAddresses;
  readonly capacity: NodeCapacity;
  /** Variables that every container gets unless it sets them itself: where the API server is. */
  readonly cluster: Readonly<Record<string, string>>;
}

/**
 * Returns a container's environment: the cluster's variables, then `envFrom` in order, then `env` in order, later ones
 * winning; values may refer to earlier variables.
 *
 * @throws ContainerConfigError with the kubelet's words when something referred to is not there
 */
export async function containerEnv(
  pod: Pod,
  container: Container,
  sources: EnvSources,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const reader = new Reader(podNamespace(pod), sources.objects, signal);
  const result = new Map<string, string>();
  for (const source of container.envFrom ?? []) {
    const prefix = source.prefix ?? '';
    for (const [key, value] of await reader.all(source)) result.set(`${prefix}${key}`, value);
  }
  const fromCluster = new Map(Object.entries(sources.cluster));
  for (const variable of container.env ?? []) {
    const value =
      variable.valueFrom === undefined
        ? expand(variable.value ?? '', (name) => result.get(name) ?? fromCluster.get(name))
        : await referredValue(pod, container, variable, sources, reader);
    if (value !== undefined) result.set(variable.name, value);
  }
  for (const [name, value] of fromCluster) if (!result.has(name)) result.set(name, value);
  return result;
}

async function referredValue(
  pod: Pod,
  container: Container,
  variable: EnvVar,
  sources: EnvSources,
  reader: Reader,
): Promise<string | undefined> {
  const from = variable.valueFrom;
  if (from?.fieldRef !== undefined) {
    const value = fieldValue(pod, from.fieldRef.fieldPath, sources.addresses);
    if (value === undefined) {
      throw new ContainerConfigError(`unsupported fieldPath: ${from.fieldRef.fieldPath}`);
    }
    return value;
  }
  if (from?.resourceFieldRef !== undefined) {
    try {
      return resourceValue(pod, container, from.resourceFieldRef, sources.capacity);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      throw new ContainerConfigError(error.message, { cause: error });
    }
  }
  if (from?.configMapKeyRef !== undefined) return await reader.configMapKey(from.configMapKeyRef);
  if (from?.secretKeyRef !== undefined) return await reader.secretKey(from.secretKeyRef);
  return '';
}

interface KeyReference {
  readonly name: string;
  readonly key: string;
  readonly optional?: boolean;
}

/** Reads each object at most once for one container. */
class Reader {
  readonly #namespace: string;
  readonly #objects: ObjectSource;
  readonly #signal: AbortSignal;
  readonly #secrets = new Map<string, Promise<Secret | undefined>>();
  readonly #configMaps = new Map<string, Promise<ConfigMap | undefined>>();

  constructor(namespace: string, objects: ObjectSource, signal: AbortSignal) {
    this.#namespace = namespace;
    this.#objects = objects;
    this.#signal = signal;
  }

  async all(source: NonNullable<Container['envFrom']>[number]): Promise<[string, string][]> {
    if (source.configMapRef !== undefined) {
      const { name, optional } = source.configMapRef;
      const map = await this.#configMap(name);
      if (map === undefined && optional !== true)
        throw new ContainerConfigError(`configmap "${name}" not found`);
      return sorted(map?.data ?? {});
    }
    if (source.secretRef !== undefined) {
      const { name, optional } = source.secretRef;
      const secret = await this.#secret(name);
      if (secret === undefined && optional !== true)
        throw new ContainerConfigError(`secret "${name}" not found`);
      return sorted(secret?.data ?? {}).map(([key, value]) => [key, decode(value)]);
    }
    return [];
  }

  async configMapKey({ name, key, optional }: KeyReference): Promise<string | undefined> {
    const map = await this.#configMap(name);
    if (map === undefined) {
      if (optional === true) return undefined;
      throw new ContainerConfigError(`configmap "${name}" not found`);
    }
    if (map.data !== undefined && Object.hasOwn(map.data, key)) return map.data[key];
    if (optional === true) return undefined;
    throw new ContainerConfigError(`couldn't find key ${key} in ConfigMap ${this.#namespace}/${name}`);
  }

  async secretKey({ name, key, optional }: KeyReference): Promise<string | undefined> {
    const secret = await this.#secret(name);
    if (secret === undefined) {
      if (optional === true) return undefined;
      throw new ContainerConfigError(`secret "${name}" not found`);
    }
    const value = secret.data !== undefined && Object.hasOwn(secret.data, key) ? secret.data[key] : undefined;
    if (value !== undefined) return decode(value);
    if (optional === true) return undefined;
    throw new ContainerConfigError(`couldn't find key ${key} in Secret ${this.#namespace}/${name}`);
  }

  #secret(name: string): Promise<Secret | undefined> {
    let read = this.#secrets.get(name);
    if (read === undefined) {
      read = this.#objects.secret(this.#namespace, name, this.#signal);
      this.#secrets.set(name, read);
    }
    return read;
  }

  #configMap(name: string): Promise<ConfigMap | undefined> {
    let read = this.#configMaps.get(name);
    if (read === undefined) {
      read = this.#objects.configMap(this.#namespace, name, this.#signal);
      this.#configMaps.set(name, read);
    }
    return read;
  }
}

function sorted(data: Record<string, string>): [string, string][] {
  return Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1));
}

function decode(value: string): string {
  return Buffer.from(value, 'base64').toString('utf8');
}
