import type { PodSpec, Volume } from '../kube/pod.ts';
import { containersOf } from './pod-template.ts';

/** Lists the secrets that a Pod refers to, in any way: pull secrets, environment, volumes of every kind. */
export function secretsOf(spec: PodSpec): readonly string[] {
  const names: string[] = [];
  for (const { name } of spec.imagePullSecrets ?? []) names.push(name ?? '');
  for (const { container } of containersOf(spec)) {
    for (const { secretRef } of container.envFrom ?? [])
      if (secretRef !== undefined) names.push(secretRef.name);
    for (const { valueFrom } of container.env ?? []) {
      if (valueFrom?.secretKeyRef !== undefined) names.push(valueFrom.secretKeyRef.name);
    }
  }
  for (const volume of spec.volumes ?? []) names.push(...secretsOfVolume(volume));
  return names;
}

function secretsOfVolume(volume: Volume): string[] {
  const names: string[] = [];
  if (volume.secret !== undefined) names.push(volume.secret.secretName ?? '');
  for (const source of volume.projected?.sources ?? []) {
    const secret = source.secret;
    if (typeof secret === 'object' && secret !== null && 'name' in secret) names.push(String(secret.name));
  }
  // Other drivers (csi, iscsi, rbd, …) refer to one by `secretRef` or `nodePublishSecretRef`.
  for (const [kind, value] of Object.entries(volume)) {
    if (kind === 'secret' || kind === 'projected' || typeof value !== 'object' || value === null) continue;
    for (const field of ['secretRef', 'nodePublishSecretRef']) {
      const reference: unknown = Object.hasOwn(value, field)
        ? (value as Record<string, unknown>)[field]
        : undefined;
      if (typeof reference === 'object' && reference !== null && 'name' in reference)
        names.push(String(reference.name));
    }
    if (kind === 'azureFile' && 'secretName' in value) names.push(String(value.secretName));
  }
  return names;
}
