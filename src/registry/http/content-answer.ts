import type { Readable } from 'node:stream';
import type { Digest } from '../../oci/digest.ts';
import { RegistryError } from '../registry-error.ts';
import { emptyAnswer, type Answer, type SelfWritingBody } from './answer.ts';
import { readRange } from './byte-range.ts';

/** Content to be served: a blob or a manifest. */
export interface ServedContent {
  readonly digest: Digest;
  readonly size: number;
  readonly mediaType: string;
  /** What a cache may do with it. */
  readonly cacheControl: string;
  open(range?: { offset: number; length: number }): Promise<Uint8Array | Readable | SelfWritingBody>;
}

export interface ContentConditions {
  readonly method: string;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
  readonly ifNoneMatch: string | undefined;
}

/** Reads the headers that decide how much of the content goes out. */
export function contentConditions(message: {
  method?: string | undefined;
  headers: NodeJS.Dict<string | string[]>;
}): ContentConditions {
  const one = (name: string): string | undefined => {
    const value = message.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  };
  return {
    method: message.method ?? 'GET',
    range: one('range'),
    ifRange: one('if-range'),
    ifNoneMatch: one('if-none-match'),
  };
}

/**
 * Answers with content: whole, one range of it, or 304 when the client has it. HEAD gets what GET would without a range.
 *
 * @throws RegistryError `RANGE_INVALID` (416)
 * @see RFC 9110 sections 13 and 14
 */
export async function contentAnswer(content: ServedContent, conditions: ContentConditions): Promise<Answer> {
  const { digest, size, mediaType } = content;
  const etag = `"${digest}"`;
  const headers = {
    'Docker-Content-Digest': digest,
    ETag: etag,
    'Cache-Control': content.cacheControl,
    'Accept-Ranges': 'bytes',
  };
  if (matches(conditions.ifNoneMatch, etag)) return { status: 304, headers };
  const isHead = conditions.method === 'HEAD';
  const ranged = !isHead && (conditions.ifRange === undefined || conditions.ifRange.trim() === etag);
  const range = readRange(ranged ? conditions.range : undefined, size);
  if (range.kind === 'unsatisfiable') {
    throw new RegistryError('RANGE_INVALID', 'the range lies outside the content', {
      headers: { 'Content-Range': `bytes */${size}` },
    });
  }
  const typed = { ...headers, 'Content-Type': mediaType };
  if (isHead) return { status: 200, headers: { ...typed, 'Content-Length': String(size) } };
  if (range.kind === 'whole') {
    const body = await content.open();
    return { status: 200, headers: { ...typed, 'Content-Length': String(size) }, body };
  }
  const { offset, length } = range;
  const part = {
    ...typed,
    'Content-Length': String(length),
    'Content-Range': `bytes ${offset}-${offset + length - 1}/${size}`,
  };
  return { status: 206, headers: part, body: await content.open({ offset, length }) };
}

function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.split(',').some((one) => {
    const tag = one.trim().replace(/^W\//, '');
    return tag === '*' || tag === etag;
  });
}

/** Answers 202 to a deletion. */
export function deleted(): Answer {
  return emptyAnswer(202);
}
