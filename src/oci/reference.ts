import { CodedError } from '../base/coded-error.ts';
import { goQuote } from '../base/go-quote.ts';
import { DigestError, parseDigest, type Digest } from './digest.ts';
import {
  AT,
  COLON,
  goLower,
  isDigestShape,
  isDomain,
  isIdentifier,
  scanPath,
  scanTag,
} from './_reference-grammar.ts';

/** The registry meant when a name has none (rule 1.10). */
export const DEFAULT_DOMAIN = 'docker.io';
const LEGACY_DEFAULT_DOMAIN = 'index.docker.io';
const OFFICIAL_PREFIX = 'library/';
export const DEFAULT_TAG = 'latest';
/** The longest path, without the domain (rule 1.8). */
export const MAX_PATH_LENGTH = 255;

export type ReferenceErrorCode =
  | 'EMPTY'
  | 'UPPERCASE'
  | 'BAD_FORMAT'
  | 'TOO_LONG'
  | 'HEX_NAME'
  | 'BAD_DIGEST';

/** Says why a text is no reference, worded as Kubernetes and containerd do; `diagnoseReference` says where. */
export class ReferenceError extends CodedError<ReferenceErrorCode> {}

/** A name of an image, taken apart. Only the functions of this file make one, so every part obeys the grammar. */
export interface Reference {
  /** `docker.io`, `registry.example:10443`; empty only for what {@link parseReference} found without one. */
  readonly domain: string;
  /** The repository without the domain: `library/busybox`. */
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

/**
 * Reads a reference by the bare grammar, without adding anything (rules 1.1 to 1.9): `foo/bar` has the domain `foo`.
 * For names as people write them use {@link parseNormalizedReference}.
 *
 * @throws ReferenceError
 */
export function parseReference(text: string): Reference {
  const slash = text.indexOf('/');
  return slash > 0 && isDomain(text, slash)
    ? finish(text, text.slice(0, slash), '', slash + 1, text)
    : finish(text, '', '', 0, text);
}

/**
 * Reads a name as people write it and fills in Docker's defaults (rule 1.10): `busybox` is `docker.io/library/busybox`.
 * Neither tag nor digest is added.
 *
 * @throws ReferenceError
 */
export function parseNormalizedReference(text: string): Reference {
  if (isIdentifier(text)) {
    throw new ReferenceError(
      'HEX_NAME',
      `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`,
    );
  }
  const slash = text.indexOf('/');
  if (slash < 0) return finish(text, DEFAULT_DOMAIN, OFFICIAL_PREFIX, 0, undefined);
  const first = text.slice(0, slash);
  if (!namesDomain(first)) return finish(text, DEFAULT_DOMAIN, '', 0, undefined);
  const domain = first === LEGACY_DEFAULT_DOMAIN ? DEFAULT_DOMAIN : first;
  if (domain === DEFAULT_DOMAIN) {
    const prefix = text.includes('/', slash + 1) ? '' : OFFICIAL_PREFIX;
    return finish(text, domain, prefix, slash + 1, undefined);
  }
  // What looks like a domain but is none by grammar (an underscore) can still be the first part of a path.
  return isDomain(first, first.length)
    ? finish(text, domain, '', slash + 1, undefined)
    : finish(text, '', '', 0, undefined, slash + 1);
}

/** Tells whether the first part of a name is meant as a domain (rule 1.10c). */
function namesDomain(first: string): boolean {
  return (
    first === 'localhost' ||
    first === LEGACY_DEFAULT_DOMAIN ||
    first.includes('.') ||
    first.includes(':') ||
    goLower(first) !== first
  );
}

/**
 * Reads path, tag and digest from `start` on. `plain` is the text whose lower-casing decides between two errors of the bare
 * grammar; undefined for the normalising parse, which has its own check of the case (rule 1.10e) over what follows `restStart`.
 */
function finish(
  text: string,
  domain: string,
  prefix: string,
  start: number,
  plain: string | undefined,
  restStart = start,
): Reference {
  const pathEnd = scanPath(text, start);
  if (pathEnd < 0) throw failure(text, domain, prefix, restStart, plain);
  let tag: string | undefined;
  let end = pathEnd;
  if (text.charCodeAt(end) === COLON) {
    end = scanTag(text, pathEnd + 1);
    if (end < 0) throw failure(text, domain, prefix, restStart, plain);
    tag = text.slice(pathEnd + 1, end);
  }
  const digestStart = text.charCodeAt(end) === AT ? end + 1 : -1;
  if (digestStart > 0 && !isDigestShape(text, digestStart))
    throw failure(text, domain, prefix, restStart, plain);
  if (digestStart > 0 && plain === undefined) {
    // Without a tag, rule 1.10e also looks at the algorithm before the digest's colon.
    const upper = upperCaseFailure(text, prefix, restStart);
    if (upper !== undefined) throw upper;
  }
  const path = prefix + text.slice(start, pathEnd);
  if (path.length > MAX_PATH_LENGTH) throw tooLong();
  const digest = digestStart < 0 ? undefined : readDigest(text.slice(digestStart));
  return { domain, path, tag, digest };
}

function tooLong(): ReferenceError {
  return new ReferenceError(
    'TOO_LONG',
    `repository name must not be more than ${MAX_PATH_LENGTH} characters`,
  );
}

function readDigest(text: string): Digest {
  try {
    return parseDigest(text);
  } catch (error) {
    if (error instanceof DigestError) throw new ReferenceError('BAD_DIGEST', error.message, { cause: error });
    throw error;
  }
}

/** Words a failed match as the distribution library does (rules 1.9, 1.10e). */
function failure(
  text: string,
  domain: string,
  prefix: string,
  restStart: number,
  plain: string | undefined,
): ReferenceError {
  if (plain === undefined) {
    const upper = upperCaseFailure(text, prefix, restStart);
    if (upper !== undefined) return upper;
  }
  if (plain === '') return new ReferenceError('EMPTY', 'repository name must have at least one component');
  // Whatever is wrong with the case of the joined text is judged by matching it lower-cased.
  const joined = plain ?? (domain === '' ? text : `${domain}/${prefix}${text.slice(restStart)}`);
  const lower = goLower(joined);
  if (lower !== joined && matchesGrammar(lower))
    return new ReferenceError('UPPERCASE', 'repository name must be lowercase');
  return new ReferenceError('BAD_FORMAT', 'invalid reference format');
}

function upperCaseFailure(text: string, prefix: string, restStart: number): ReferenceError | undefined {
  const colon = text.indexOf(':', restStart);
  const rest = prefix + text.slice(restStart, colon < 0 ? undefined : colon);
  if (goLower(rest) === rest) return undefined;
  return new ReferenceError(
    'UPPERCASE',
    `invalid reference format: repository name (${rest}) must be lowercase`,
  );
}

function matchesGrammar(text: string): boolean {
  const slash = text.indexOf('/');
  const pathEnd = scanPath(text, slash > 0 && isDomain(text, slash) ? slash + 1 : 0);
  if (pathEnd < 0) return false;
  const end = text.charCodeAt(pathEnd) === COLON ? scanTag(text, pathEnd + 1) : pathEnd;
  if (end < 0) return false;
  return end === text.length || isDigestShape(text, end + 1);
}

/** Prints a reference in full: `docker.io/library/busybox:1.36`. */
export function formatReference(reference: Reference): string {
  return repositoryOf(reference) + suffixOf(reference);
}

/** Prints domain and path, without tag and digest: the name under which credentials are looked up. */
export function repositoryOf(reference: Pick<Reference, 'domain' | 'path'>): string {
  return reference.domain === '' ? reference.path : `${reference.domain}/${reference.path}`;
}

/** Prints a reference as people write it: `busybox:1.36` (rule 1.12). */
export function familiarReference(reference: Reference): string {
  return familiarRepository(reference) + suffixOf(reference);
}

/** Prints domain and path as people write them, without tag and digest (rule 1.12). */
export function familiarRepository(reference: Pick<Reference, 'domain' | 'path'>): string {
  if (reference.domain !== DEFAULT_DOMAIN) return repositoryOf(reference);
  const { path } = reference;
  const official = path.startsWith(OFFICIAL_PREFIX) && !path.includes('/', OFFICIAL_PREFIX.length);
  return official ? path.slice(OFFICIAL_PREFIX.length) : path;
}

function suffixOf(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  return reference.digest === undefined ? tag : `${tag}@${reference.digest}`;
}

/**
 * Reads a name as containerd's image service does (rule 1.13): of tag and digest the digest wins, and with neither the tag
 * is `latest`.
 *
 * @throws ReferenceError
 */
export function parseDockerReference(text: string): Reference {
  const reference = parseNormalizedReference(text);
  if (reference.digest !== undefined) {
    return reference.tag === undefined ? reference : { ...reference, tag: undefined };
  }
  return reference.tag === undefined ? { ...reference, tag: DEFAULT_TAG } : reference;
}

/** An image string as the kubelet and the API server take it apart; absent parts are empty. */
export interface ImageName {
  /** Full name with the domain: `docker.io/library/busybox`. */
  readonly name: string;
  readonly tag: string;
  readonly digest: string;
}

/**
 * Takes an image string apart; the tag is `latest` when there is neither tag nor digest (rule 1.15).
 *
 * @throws ReferenceError worded `couldn't parse image name "…": …`
 */
export function parseImageName(image: string): ImageName {
  const { domain, path, tag, digest } = parseForKubelet(image);
  const name = repositoryOf({ domain, path });
  if (tag === undefined && digest === undefined) return { name, tag: DEFAULT_TAG, digest: '' };
  return { name, tag: tag ?? '', digest: digest ?? '' };
}

/**
 * Appends `:latest` to an image string that has neither tag nor digest and leaves every other as it is (rule 1.16).
 *
 * @throws ReferenceError worded `couldn't parse image name "…": …`
 */
export function applyDefaultTag(image: string): string {
  const { tag, digest } = parseForKubelet(image);
  return tag === undefined && digest === undefined ? `${image}:${DEFAULT_TAG}` : image;
}

function parseForKubelet(image: string): Reference {
  try {
    return parseNormalizedReference(image);
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    throw new ReferenceError(error.code, `couldn't parse image name ${goQuote(image)}: ${error.message}`, {
      cause: error,
    });
  }
}

/**
 * Cuts tag and digest off without normalising the rest: the key of credential records and of the allow-list (rule 1.17).
 *
 * @throws ReferenceError
 */
export function trimTagAndDigest(image: string): string {
  return repositoryOf(parseReference(image));
}
