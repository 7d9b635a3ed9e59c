import { goQuote } from '../../base/go-quote.ts';
import { objectAt, objectsAt, stringMapAt, type JsonObject } from '../json/json-object.ts';
import { canonicalQuantity } from '../quantity.ts';
import { nodeTermsWarnings } from './placement-warnings.ts';

const OLD_VOLUMES: Readonly<Record<string, readonly [shown: string, why: string]>> = {
  photonPersistentDisk: ['photonPersistentDisk', 'deprecated in v1.11, non-functional in v1.16+'],
  gitRepo: ['gitRepo', 'deprecated in v1.11, and disabled by default in v1.33+'],
  scaleIO: ['scaleIO', 'deprecated in v1.16, non-functional in v1.22+'],
  flocker: ['flocker', 'deprecated in v1.22, non-functional in v1.25+'],
  storageos: ['storageOS', 'deprecated in v1.22, non-functional in v1.25+'],
  quobyte: ['quobyte', 'deprecated in v1.22, non-functional in v1.25+'],
  glusterfs: ['glusterfs', 'deprecated in v1.25, non-functional in v1.26+'],
  cephfs: ['cephfs', 'deprecated in v1.28, non-functional in v1.31+'],
  rbd: ['rbd', 'deprecated in v1.28, non-functional in v1.31+'],
};

const OLD_CLASS = 'volume.beta.kubernetes.io/storage-class';

/** Returns texts for the volumes of a Pod, below `at`, its `spec`. */
export function volumeWarnings(spec: JsonObject, at: string): string[] {
  return objectsAt(spec, 'volumes').flatMap((volume, index) => {
    const warnings = oldSourceWarnings(volume, `${at}.volumes[${index}]`);
    const claim = objectAt(objectAt(volume, 'ephemeral'), 'volumeClaimTemplate');
    const place = `${at}.volumes[${index}].ephemeral.volumeClaimTemplate.spec`;
    return [...warnings, ...claimWarnings(objectAt(claim, 'spec') ?? {}, place)];
  });
}

/** Returns texts for what a claim asks for. */
export function claimWarnings(spec: JsonObject, at: string): string[] {
  const requests = objectAt(objectAt(spec, 'resources'), 'requests');
  return fractionWarnings(requests, `${at}.resources.requests`, ['storage']);
}

/** Returns texts for amounts of bytes that are not whole. */
export function fractionWarnings(
  amounts: JsonObject | undefined,
  at: string,
  names: readonly string[] = ['memory', 'ephemeral-storage'],
): string[] {
  return names.flatMap((name) => {
    const amount = amounts?.[name];
    if (typeof amount !== 'string' && typeof amount !== 'number') return [];
    const text = canonicalQuantity(amount);
    if (!text.endsWith('m')) return [];
    return [`${at}[${name}]: fractional byte value ${goQuote(text)} is invalid, must be an integer`];
  });
}

/** Returns texts for a volume of its own. */
export function persistentVolumeWarnings(volume: JsonObject): string[] {
  const spec = objectAt(volume, 'spec') ?? {};
  const warnings = oldClassWarnings(volume);
  if (spec['persistentVolumeReclaimPolicy'] === 'Recycle') {
    warnings.push(
      'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended ' +
        'approach is to use dynamic provisioning.',
    );
  }
  const needed = objectAt(objectAt(spec, 'nodeAffinity'), 'required');
  return [
    ...warnings,
    ...nodeTermsWarnings(needed, 'spec.nodeAffinity.required'),
    ...oldSourceWarnings(spec, 'spec'),
    ...fractionWarnings(objectAt(spec, 'capacity'), 'spec.capacity', ['storage']),
  ];
}

/** Returns texts for the older way to name a class. */
export function oldClassWarnings(object: JsonObject): string[] {
  if (!Object.hasOwn(stringMapAt(objectAt(object, 'metadata'), 'annotations'), OLD_CLASS)) return [];
  return [
    `metadata.annotations[${OLD_CLASS}]: deprecated since v1.8; use "storageClassName" attribute instead`,
  ];
}

function oldSourceWarnings(source: JsonObject, at: string): string[] {
  return Object.entries(OLD_VOLUMES)
    .filter(([kind]) => source[kind] !== undefined)
    .map(([, [shown, why]]) => `${at}.${shown}: ${why}`);
}
