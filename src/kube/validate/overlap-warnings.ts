import { goQuote } from '../../base/go-quote.ts';
import { objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';

/** A file or directory that a volume is to hold, and what puts it there where there are several. */
interface Placed {
  readonly path: string;
  readonly by: string;
  /** Of what puts it there, where it has one; quoted only when somebody is told. */
  readonly name?: string;
}

/** Returns texts for volumes that are to hold two things in one place: one of them will be missed. */
export function overlapWarnings(volumes: readonly JsonObject[]): string[] {
  return volumes.flatMap((volume) => {
    const [configMap, secret] = [objectAt(volume, 'configMap'), objectAt(volume, 'secret')];
    const told = (what: string, source: JsonObject | undefined, name?: string): string[] =>
      overlaps(itemsOf(source, '')).map(
        (pair) => `volume ${nameOf(volume)} (${withName(what, name)}): overlapping paths: ${pair}`,
      );
    return [
      ...told('ConfigMap', configMap, stringAt(configMap, 'name')),
      ...told('Secret', secret, stringAt(secret, 'secretName')),
      ...told('DownwardAPI', objectAt(volume, 'downwardAPI')),
      ...projectedWarnings(volume, objectsAt(objectAt(volume, 'projected'), 'sources')),
    ];
  });
}

function projectedWarnings(volume: JsonObject, sources: readonly JsonObject[]): string[] {
  const placed = sources.map(placedBy);
  const empty = placed.filter((each) => each === undefined);
  return [
    ...empty.map(() => `volume ${nameOf(volume)} (Projected) has no sources provided`),
    ...overlaps(placed.flatMap((each) => each ?? [])).map(
      (pair) => `volume ${nameOf(volume)} (Projected): overlapping paths: ${pair}`,
    ),
  ];
}

function nameOf(volume: JsonObject): string {
  return goQuote(stringAt(volume, 'name'));
}

function withName(what: string, name: string | undefined): string {
  return name === undefined ? what : `${what} ${goQuote(name)}`;
}

/** Returns what one source of a projected volume puts where; `undefined` for a source that is none. */
function placedBy(source: JsonObject): Placed[] | undefined {
  const part = (key: string): JsonObject | undefined => objectAt(source, key);
  const [configMap, secret, downward] = [part('configMap'), part('secret'), part('downwardAPI')];
  if (configMap !== undefined) return itemsOf(configMap, 'ConfigMap', stringAt(configMap, 'name'));
  if (secret !== undefined) return itemsOf(secret, 'Secret', stringAt(secret, 'name'));
  if (downward !== undefined) return itemsOf(downward, 'DownwardAPI');
  const token = part('serviceAccountToken');
  if (token !== undefined) return [{ path: stringAt(token, 'path'), by: 'ServiceAccountToken' }];
  const bundle = part('clusterTrustBundle');
  if (bundle !== undefined) {
    const name = stringAt(bundle, bundle['name'] === undefined ? 'signerName' : 'name');
    return [{ path: stringAt(bundle, 'path'), by: 'ClusterTrustBundle', name }];
  }
  const certificate = part('podCertificate');
  if (certificate === undefined) return undefined;
  return [
    { path: stringAt(certificate, 'certificateChainPath'), by: 'PodCertificate chain' },
    { path: stringAt(certificate, 'keyPath'), by: 'PodCertificate key' },
    { path: stringAt(certificate, 'credentialBundlePath'), by: 'PodCertificate credential bundle' },
  ];
}

function itemsOf(source: JsonObject | undefined, by: string, name?: string): Placed[] {
  return objectsAt(source, 'items').map((item) => ({
    path: stringAt(item, 'path'),
    by,
    ...(name === undefined ? {} : { name }),
  }));
}

function overlaps(all: readonly Placed[]): string[] {
  const trimmed = all
    .map((placed) => ({ ...placed, path: placed.path.replace(/\/+$/, '') }))
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

function shown({ path, by, name }: Placed): string {
  return by === '' ? goQuote(path) : `${goQuote(path)} (${withName(by, name)})`;
}
