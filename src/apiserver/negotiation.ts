import { notAcceptable, onlyAcceptable, type StatusError } from '../kube/status.ts';
import type { ApiCall } from './api-call.ts';

/** How an answer is written: the encoding, and whether objects are turned into rows or bare metadata first. */
export interface Representation {
  readonly encoding: 'json' | 'yaml';
  readonly as?: 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList';
  /** Version of `meta.k8s.io` that the client wants for `as`. */
  readonly version?: 'v1' | 'v1beta1';
}

/** Media types of objects. */
export const MEDIA_TYPES = ['application/json', 'application/yaml'] as const;
/** Media types of watches. */
export const STREAM_MEDIA_TYPES = ['application/json;stream=watch'] as const;
/** Media types of what can be watched. */
const LIST_MEDIA_TYPES = [...MEDIA_TYPES, ...STREAM_MEDIA_TYPES] as const;

/** More alternatives than any client sends; the rest of a hostile header is ignored. */
const MAX_CLAUSES = 32;

interface Clause {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly quality: number;
}

/** Chooses how to answer from an Accept header; `undefined` when nothing that it accepts can be served (answer 406). */
export function negotiate(accept: string | undefined): Representation | undefined {
  if (accept === undefined || accept.trim() === '') return { encoding: 'json' };
  const clauses = clausesOf(accept).sort((a, b) => b.quality - a.quality);
  for (const clause of clauses) {
    if (clause.quality <= 0) continue;
    const encoding = encodingOf(clause.type);
    if (encoding === undefined) continue;
    const as = clause.parameters.get('as');
    if (as === undefined) return { encoding };
    const version = clause.parameters.get('v');
    const known = as === 'Table' || as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList';
    if (!known || clause.parameters.get('g') !== 'meta.k8s.io') continue;
    if (version === 'v1' || version === 'v1beta1') return { encoding, as, version };
  }
  return undefined;
}

/** Words the refusal of an Accept header that asks for nothing that can be served. */
export function unacceptable(
  accept: string | undefined,
  call: Pick<ApiCall, 'request' | 'resource'>,
): StatusError {
  const { verb, name } = call.request;
  const isForm = clausesOf(accept).some(({ type }) => encodingOf(type) !== undefined);
  // Where a path has no fixed types, or its types would do, what is wrong is the form that was asked for.
  if (isForm || call.resource.custom !== undefined) return onlyAcceptable(MEDIA_TYPES);
  const isList = name === '' && (verb === 'list' || verb === 'watch');
  return notAcceptable(isList ? LIST_MEDIA_TYPES : MEDIA_TYPES);
}

/** Tells whether an Accept header names exactly this media type, parameters included, in any order. */
export function accepts(accept: string | undefined, mediaType: string): boolean {
  if (accept === undefined) return false;
  const wanted = parseClause(mediaType);
  return clausesOf(accept).some(
    (clause) =>
      clause.type === wanted.type &&
      [...wanted.parameters].every(([name, value]) => clause.parameters.get(name) === value),
  );
}

/** Reads a Content-Type into its media type in lower case, without parameters; `''` when absent. */
export function mediaTypeOf(contentType: string | undefined): string {
  return parseClause(contentType ?? '').type;
}

function clausesOf(accept: string | undefined): Clause[] {
  return (accept ?? '').split(',', MAX_CLAUSES).map(parseClause);
}

function parseClause(text: string): Clause {
  const [type = '', ...rest] = text.split(';');
  const parameters = new Map<string, string>();
  let quality = 1;
  for (const part of rest) {
    const equals = part.indexOf('=');
    if (equals < 0) continue;
    const name = part.slice(0, equals).trim().toLowerCase();
    const value = part.slice(equals + 1).trim();
    if (name === 'q') quality = Number(value);
    else parameters.set(name, value);
  }
  return { type: type.trim().toLowerCase(), parameters, quality: Number.isNaN(quality) ? 0 : quality };
}

function encodingOf(type: string): 'json' | 'yaml' | undefined {
  if (type === 'application/json' || type === 'application/*' || type === '*/*') return 'json';
  if (type === 'application/yaml') return 'yaml';
  return undefined;
}
