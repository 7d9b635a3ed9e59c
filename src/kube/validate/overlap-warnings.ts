import { goQuote } from '../../base/go-quote.ts';
import { objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';

/** A file or directory that a volume is to hold, and what puts it there where there are several. */
interface Placed {
  readonly path: string;
  readonly by: string;
}

/** Returns texts for volumes that are to hold two things in one place: one of them will be missed. */
export function overlapWarnings(volumes: readonly JsonObject[]): string[] {
  return volumes.flatMap((volume) => {
    const name = goQuote(stringAt(volume, 'name'));
    const [configMap, secret] = [objectAt(volume, 'configMap'), objectAt(volume, 'secret')];
    const told = (what: string, source: JsonObject | undefined): string[] =>
      overlaps(itemsOf(source, '')).map((pair) => `volume ${name} (${what}): overlapping paths: ${pair}`);
    return [
      ...told(`ConfigMap ${goQuote(stringAt(configMap, 'name'))}`, configMap),
      ...told(`Secret ${goQuote(stringAt(secret, 'secretName'))}`, secret),
      ...told('DownwardAPI', objectAt(volume, 'downwardAPI')),
      ...projectedWarnings(name, objectsAt(objectAt(volume, 'projected'), 'sources')),
    ];
  });
}

function projectedWarnings(name: string, sources: readonly JsonObject[]): string[] {
  const empty = sources
    .filter((source) => placedBy(source) === undefined)
    .map(() => `volume ${name} (Projected) has no sources provided`);
  const placed = sources.flatMap((source) => placedBy(source) ?? []);
  return [
    ...empty,
    ...overlaps(placed).map((pair) => `volume ${name} (Projected): overlapping paths: ${pair}`),
  ];
}

/** Returns what one source of a projected volume puts where; `undefined` for a source that is none. */
function placedBy(source: JsonObject): Placed[] | undefined {
  const part = (key: string): JsonObject | undefined => objectAt(source, key);
  const [configMap, secret, downward] = [part('configMap'), part('secret'), part('downwardAPI')];
  if (configMap !== undefined) return itemsOf(configMap, `ConfigMap ${goQuote(stringAt(configMap, 'name'))}`);
  if (secret !== undefined) return itemsOf(secret, `Secret ${goQuote(stringAt(secret, 'name'))}`);
  if (downward !== undefined) return itemsOf(downward, 'DownwardAPI');
  const token = part('serviceAccountToken');
  if (token !== undefined) return [{ path: stringAt(token, 'path'), by: 'ServiceAccountToken' }];
  const bundle = part('clusterTrustBundle');
  if (bundle !== undefined) {
    const name = stringAt(bundle, bundle['name'] === undefined ? 'signerName' : 'name');
    return [{ path: stringAt(bundle, 'path'), by: `ClusterTrustBundle ${goQuote(name)}` }];
  }
  const certificate = part('podCertificate');
  if (certificate === undefined) return undefined;
  return [
    { path: stringAt(certificate, 'certificateChainPath'), by: 'PodCertificate chain' },
    { path: stringAt(certificate, 'keyPath'), by: 'PodCertificate key' },
    { path: stringAt(certificate, 'credentialBundlePath'), by: 'PodCertificate credential bundle' },
  ];
}

function itemsOf(source: JsonObject | undefined, by: string): Placed[] {
  return objectsAt(source, 'items').map((item) => ({ path: stringAt(item, 'path'), by }));
}

function overlaps(all: readonly Placed[]): string[] {
  const trimmed = all
    .map(({ path, by }) => ({ path: path.replace(/\/+$/, ''), by }))
    .filter(({ path }) => path !== '');
  return trimmed.flatMap((mine, index) =>
    trimmed
      .slice(0, index)
      .filter((other) => isWithin(mine.path, other.path) || isWithin(other.path, mine.path))
      .map((other) => `${shown(mine)} with ${shown(other)}`),
  );
}

function isWithin(path: string, directory: string): boolean {
  return `${path}/`.startsWith(`${directory}/`);
}

function shown({ path, by }: Placed): string {
  return by === '' ? goQuote(path) : `${goQuote(path)} (${by})`;
}
