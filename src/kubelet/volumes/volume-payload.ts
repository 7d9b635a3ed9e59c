import type { Pod, Volume } from '../../kube/pod.ts';
import { fieldValue, type PodAddresses } from '../env/field-reference.ts';
import { resourceValue, type NodeCapacity } from '../env/resource-reference.ts';
import type { ObjectSource } from '../object-source.ts';
import { podNamespace } from '../pod-reference.ts';
import type { PayloadFile } from './payload-writer.ts';
import type { ServiceAccountTokens } from './service-account-tokens.ts';
import { VolumeError } from './volume-error.ts';

/** Mode of files whose volume says none. */
const DEFAULT_MODE = 0o644;

export interface PayloadSources {
  readonly objects: ObjectSource;
  readonly tokens: ServiceAccountTokens;
  readonly addresses: PodAddresses;
  readonly capacity: NodeCapacity;
}

interface KeyToPath {
  key: string;
  path: string;
  mode?: number;
}

interface DownwardItem {
  path: string;
  fieldRef?: { fieldPath: string };
  resourceFieldRef?: { containerName?: string; resource: string; divisor?: string };
  mode?: number;
}

interface Projection {
  secret?: { name?: string; items?: KeyToPath[]; optional?: boolean };
  configMap?: { name?: string; items?: KeyToPath[]; optional?: boolean };
  downwardAPI?: { items?: DownwardItem[] };
  serviceAccountToken?: { path: string; audience?: string; expirationSeconds?: number };
}

/**
 * Collects the files of a secret, configMap, downwardAPI or projected volume; undefined for other kinds.
 *
 * @throws VolumeError when something that is not optional is missing
 */
export async function volumePayload(
  pod: Pod,
  volume: Volume,
  sources: PayloadSources,
  signal: AbortSignal,
): Promise<PayloadFile[] | undefined> {
  if (volume.secret !== undefined) {
    const { secretName, ...rest } = volume.secret;
    const mode = volume.secret.defaultMode ?? DEFAULT_MODE;
    return await secretFiles(pod, { ...rest, name: secretName ?? '' }, mode, sources, signal);
  }
  if (volume.configMap !== undefined) {
    const mode = volume.configMap.defaultMode ?? DEFAULT_MODE;
    return await configMapFiles(pod, volume.configMap, mode, sources, signal);
  }
  if (volume.downwardAPI !== undefined) {
    const mode = volume.downwardAPI.defaultMode ?? DEFAULT_MODE;
    return downwardFiles(pod, volume.downwardAPI.items ?? [], mode, sources);
  }
  if (volume.projected === undefined) return undefined;
  const mode = volume.projected.defaultMode ?? DEFAULT_MODE;
  const files: PayloadFile[] = [];
  for (const source of (volume.projected.sources ?? []) as Projection[]) {
    if (source.secret !== undefined)
      files.push(...(await secretFiles(pod, source.secret, mode, sources, signal)));
    if (source.configMap !== undefined) {
      files.push(...(await configMapFiles(pod, source.configMap, mode, sources, signal)));
    }
    if (source.downwardAPI !== undefined) {
      files.push(...downwardFiles(pod, source.downwardAPI.items ?? [], mode, sources));
    }
    if (source.serviceAccountToken !== undefined) {
      const { path, audience, expirationSeconds } = source.serviceAccountToken;
      const token = await sources.tokens.token(pod, audience, expirationSeconds, signal);
      files.push({ path, data: Buffer.from(token), mode });
    }
  }
  return files;
}

interface KeyedSource {
  readonly name?: string;
  readonly items?: KeyToPath[];
  readonly optional?: boolean;
}

async function secretFiles(
  pod: Pod,
  source: KeyedSource,
  mode: number,
  { objects }: PayloadSources,
  signal: AbortSignal,
): Promise<PayloadFile[]> {
  const name = source.name ?? '';
  const secret = await objects.secret(podNamespace(pod), name, signal);
  if (secret === undefined && source.optional !== true) throw new VolumeError(`secret "${name}" not found`);
  const data = new Map<string, Buffer>();
  for (const [key, value] of Object.entries(secret?.data ?? {})) data.set(key, Buffer.from(value, 'base64'));
  return pick(data, source, mode, 'references non-existent secret');
}

async function configMapFiles(
  pod: Pod,
  source: KeyedSource,
  mode: number,
  { objects }: PayloadSources,
  signal: AbortSignal,
): Promise<PayloadFile[]> {
  const name = source.name ?? '';
  const map = await objects.configMap(podNamespace(pod), name, signal);
  if (map === undefined && source.optional !== true) throw new VolumeError(`configmap "${name}" not found`);
  const data = new Map<string, Buffer>();
  for (const [key, value] of Object.entries(map?.data ?? {})) data.set(key, Buffer.from(value));
  for (const [key, value] of Object.entries(map?.binaryData ?? {}))
    data.set(key, Buffer.from(value, 'base64'));
  return pick(data, source, mode, 'configmap references non-existent config');
}

function pick(
  data: ReadonlyMap<string, Buffer>,
  source: KeyedSource,
  mode: number,
  missing: string,
): PayloadFile[] {
  if (source.items === undefined || source.items.length === 0) {
    return [...data].map(([path, content]) => ({ path, data: content, mode }));
  }
  const files: PayloadFile[] = [];
  for (const item of source.items) {
    const content = data.get(item.key);
    if (content === undefined) {
      if (source.optional === true) continue;
      throw new VolumeError(`${missing} key: ${item.key}`);
    }
    files.push({ path: item.path, data: content, mode: item.mode ?? mode });
  }
  return files;
}

function downwardFiles(
  pod: Pod,
  items: readonly DownwardItem[],
  mode: number,
  { addresses, capacity }: PayloadSources,
): PayloadFile[] {
  return items.map((item) => ({
    path: item.path,
    data: Buffer.from(downwardValue(pod, item, addresses, capacity)),
    mode: item.mode ?? mode,
  }));
}

function downwardValue(
  pod: Pod,
  item: DownwardItem,
  addresses: PodAddresses,
  capacity: NodeCapacity,
): string {
  if (item.fieldRef !== undefined) return fieldValue(pod, item.fieldRef.fieldPath, addresses) ?? '';
  const first = pod.spec.containers[0];
  if (item.resourceFieldRef === undefined || first === undefined) return '';
  return resourceValue(pod, first, item.resourceFieldRef, capacity);
}
