import type { TraceStep } from '../base/trace.ts';
import type { DockerConfig, DockerConfigEntry } from './docker-config.ts';
import {
  describeMismatch,
  indexKey,
  mismatch,
  parsePattern,
  type RegistryPattern,
} from './registry-pattern.ts';

/** Where a credential came from; the only thing about it that may be printed. */
export type CandidateSource =
  | { readonly kind: 'secret'; readonly namespace: string; readonly name: string; readonly uid: string }
  | {
      readonly kind: 'service-account';
      readonly namespace: string;
      readonly name: string;
      readonly uid: string;
      /** The plug-in that exchanged the account's token. */
      readonly provider: string;
    }
  | { readonly kind: 'node-file'; readonly path: string }
  | { readonly kind: 'provider'; readonly provider: string };

/** A credential that matches an image. Never print it: print {@link describeSource} of its source. */
export interface Candidate extends DockerConfigEntry {
  /** Index key under which it was found (rule 6.10). */
  readonly key: string;
  readonly source: CandidateSource;
}

/** An entry ready to be compared with images. */
export interface KeyringEntry extends Candidate {
  /** Undefined when the key, though indexed, is no URL any more: it never matches. */
  readonly pattern: RegistryPattern | undefined;
}

/** Key under which Docker Hub's credentials are looked for when nothing matches (rule 6.15). */
const DEFAULT_REGISTRY_KEY = 'index.docker.io';

/** Names a source as traces, events and flight records print it. */
export function describeSource(source: CandidateSource): string {
  if (source.kind === 'secret') return `Secret ${source.namespace}/${source.name}`;
  if (source.kind === 'node-file') return source.path;
  const provider = `credential provider ${source.provider}`;
  if (source.kind === 'provider') return provider;
  return `ServiceAccount ${source.namespace}/${source.name} by ${provider}`;
}

/** Prepares the entries of one docker config; keys that are no URL are left out (rule 6.10). */
export function keyringEntries(config: DockerConfig, source: CandidateSource): KeyringEntry[] {
  const entries: KeyringEntry[] = [];
  for (const [written, entry] of config) {
    const key = indexKey(written);
    if (key !== undefined) entries.push({ ...entry, key, source, pattern: parsePattern(key) });
  }
  return entries;
}

/**
 * Looks an image up in one keyring: all matching entries, the more specific key first, entries of one key in the order
 * given (6.14); if none matches, Docker Hub's own for an image of the default registry (6.15).
 *
 * @param repository normalised repository without tag or digest, such as `docker.io/library/busybox` (6.11)
 */
export function lookup(entries: Iterable<KeyringEntry>, repository: string): Candidate[] {
  const image = parsePattern(repository);
  const found: KeyringEntry[] = [];
  const fallback: KeyringEntry[] = [];
  for (const entry of entries) {
    if (entry.key === DEFAULT_REGISTRY_KEY) fallback.push(entry);
    const { pattern } = entry;
    if (image === undefined || pattern === undefined) continue;
    // Nearly all entries of a large keyring are for another host: they are left without comparing part by part.
    if (!pattern.wildcard && pattern.host !== image.host) continue;
    if (mismatch(pattern, image) === undefined) found.push(entry);
  }
  if (found.length > 0) return found.sort((a, b) => compareBytes(b.key, a.key)).map(withoutPattern);
  return isDefaultRegistry(repository) ? fallback.map(withoutPattern) : [];
}

/** Says for every entry of a keyring why it is a candidate for the image or is none; names only, no secrets. */
export function explainLookup(entries: Iterable<KeyringEntry>, repository: string): TraceStep[] {
  const image = parsePattern(repository);
  const all = [...entries];
  const fallback = isDefaultRegistry(repository) && !anyMatches(all, image);
  return all.map((entry) => {
    const source = describeSource(entry.source);
    if (image === undefined)
      return { rule: '6.11', says: `"${repository}" names no registry: nothing matches`, source };
    if (entry.pattern === undefined)
      return { rule: '6.12', says: `key "${entry.key}" is no URL: it never matches`, source };
    const why = mismatch(entry.pattern, image);
    if (why === undefined) return { rule: '6.12', says: `key "${entry.key}" matches`, source };
    if (fallback && entry.key === DEFAULT_REGISTRY_KEY) {
      return {
        rule: '6.15',
        says: `key "${entry.key}" serves as the fallback for Docker Hub: nothing else matches`,
        source,
      };
    }
    return { rule: '6.12', says: `key "${entry.key}" does not match: ${describeMismatch(why)}`, source };
  });
}

/** Tells whether an image belongs to the default registry, Docker Hub, by its name alone (rule 6.15). */
export function isDefaultRegistry(repository: string): boolean {
  const slash = repository.indexOf('/');
  const first = slash < 0 ? repository : repository.slice(0, slash);
  if (first === '') return false;
  return slash < 0 || first === 'docker.io' || first === 'index.docker.io' || !/[.:]/.test(first);
}

function anyMatches(entries: readonly KeyringEntry[], image: RegistryPattern | undefined): boolean {
  if (image === undefined) return false;
  return entries.some((e) => e.pattern !== undefined && mismatch(e.pattern, image) === undefined);
}

/** Go sorts strings by their bytes; UTF-16 order differs from it above U+FFFF only. */
function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}

function withoutPattern({ pattern: _pattern, ...candidate }: KeyringEntry): Candidate {
  return candidate;
}
