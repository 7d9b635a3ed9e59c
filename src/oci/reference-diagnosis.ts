import {
  AT,
  COLON,
  isDigestShape,
  isDomain,
  isHexDigit,
  isIdentifier,
  isPathCharacter,
  isTagCharacter,
  MAX_TAG_LENGTH,
  scanPath,
  scanTag,
  SLASH,
} from './_reference-grammar.ts';
import { isDigest } from './digest.ts';
import { DEFAULT_DOMAIN, MAX_PATH_LENGTH, parseNormalizedReference, ReferenceError } from './reference.ts';

export type ReferenceProblem =
  | 'empty'
  | 'white-space'
  | 'placeholder'
  | 'scheme'
  | 'image-id'
  | 'upper-case'
  | 'empty-part'
  | 'separator'
  | 'character'
  | 'port'
  | 'too-long'
  | 'empty-tag'
  | 'second-tag'
  | 'tag-character'
  | 'tag-too-long'
  | 'empty-digest'
  | 'digest'
  | 'other';

/** Where and why a text is no image name, for people. The error of the parser says it in Kubernetes' words. */
export interface ReferenceDiagnosis {
  readonly problem: ReferenceProblem;
  /** First offending character, counted in UTF-16 units. */
  readonly index: number;
  /** Offending characters; 0 where something is missing. */
  readonly length: number;
  readonly says: string;
  /** A name that can be read and is probably meant. */
  readonly suggestion?: string;
}

/** Explains why `text` is refused by the normalising parse; undefined when it is accepted. */
export function diagnoseReference(text: string): ReferenceDiagnosis | undefined {
  if (accepts(text)) return undefined;
  const found = findProblem(text);
  const suggestion = suggest(text, found);
  return suggestion === undefined ? found : { ...found, suggestion };
}

/** Draws the text with carets under the offending characters. */
export function renderDiagnosis(text: string, diagnosis: ReferenceDiagnosis): string {
  // One mark a printed character, so that escapes and wide letters do not shift the carets.
  const shown = text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (char) => '·'.repeat(char.length));
  const carets = ' '.repeat(diagnosis.index) + '^'.repeat(Math.max(1, diagnosis.length));
  return `${shown}\n${carets} ${diagnosis.says}`;
}

function accepts(text: string): boolean {
  try {
    parseNormalizedReference(text);
    return true;
  } catch (error) {
    if (error instanceof ReferenceError) return false;
    throw error;
  }
}

function problem(problem: ReferenceProblem, index: number, length: number, says: string): ReferenceDiagnosis {
  return { problem, index, length, says };
}

function findProblem(text: string): ReferenceDiagnosis {
  return wholeTextProblem(text) ?? structureProblem(text);
}

/** Mistakes that show before the text is taken apart. */
function wholeTextProblem(text: string): ReferenceDiagnosis | undefined {
  if (text === '') return problem('empty', 0, 0, 'the name is empty');
  const placeholder = /\$\{[^}]*\}?|\$\([^)]*\)?|\{\{.*?(?:\}\}|$)|<[^>]*>?/.exec(text);
  if (placeholder !== null) {
    return problem(
      'placeholder',
      placeholder.index,
      placeholder[0].length,
      'a placeholder was not filled in',
    );
  }
  const space = /\s+/.exec(text);
  if (space !== null) {
    const end = space.index === 0 || space.index + space[0].length === text.length;
    const says = end ? 'white space around the name' : 'white space inside the name';
    return problem('white-space', space.index, space[0].length, says);
  }
  const scheme = /^[A-Za-z][A-Za-z0-9+.-]*:\/\//.exec(text);
  if (scheme !== null)
    return problem('scheme', 0, scheme[0].length, 'image names have no scheme in front of the registry');
  if (isIdentifier(text))
    return problem('image-id', 0, text.length, '64 hexadecimal digits are an image ID, not a name');
  return undefined;
}

function structureProblem(text: string): ReferenceDiagnosis {
  const slash = text.indexOf('/');
  const first = slash < 0 ? '' : text.slice(0, slash);
  const meant = slash > 0 && meansDomain(first);
  const known = meant && isDomain(first, first.length);
  // A domain that breaks its grammar could still begin a path; when it cannot, the domain is what is wrong.
  if (meant && !known && (scanPath(text, 0) < slash || !first.includes('_'))) return domainProblem(first);
  const start = known ? slash + 1 : 0;
  const end = scanPath(text, start);
  if (end < 0) return pathProblem(text, start, slash < 0);
  let next = end;
  if (text.charCodeAt(end) === COLON) {
    next = scanTag(text, end + 1);
    if (next < 0) return tagProblem(text, end + 1);
  }
  if (text.charCodeAt(next) === AT) {
    const digest = digestProblem(text, next + 1);
    if (digest !== undefined) return digest;
  }
  const prefix =
    slash < 0 || (first === DEFAULT_DOMAIN && !text.includes('/', slash + 1)) ? 'library/'.length : 0;
  const length = prefix + end - start;
  if (length > MAX_PATH_LENGTH) {
    const over = length - MAX_PATH_LENGTH;
    return problem(
      'too-long',
      end - over,
      over,
      `the repository has ${length} characters, at most ${MAX_PATH_LENGTH}`,
    );
  }
  return problem('other', 0, text.length, 'this is no image name');
}

function meansDomain(first: string): boolean {
  return first === 'localhost' || /[.:\p{Lu}]/u.test(first);
}

function domainProblem(first: string): ReferenceDiagnosis {
  const bracketed = first.startsWith('[');
  const colon = first.indexOf(':', bracketed ? first.indexOf(']') + 1 : 0);
  if (bracketed && !/^\[[0-9A-Fa-f:]+\]/.test(first))
    return problem('character', 0, first.length, 'an address in brackets is hexadecimal digits and colons');
  const host = colon < 0 ? first : first.slice(0, colon);
  if (colon >= 0 && !/^\d+$/.test(first.slice(colon + 1))) {
    const port = first.slice(colon + 1);
    const says = port === '' ? 'a port must follow the colon' : 'a port is made of digits';
    return problem('port', colon + 1, port.length, says);
  }
  const bad = /[^A-Za-z0-9.-]/u.exec(host);
  if (bad !== null && !bracketed)
    return problem('character', bad.index, bad[0].length, `a registry's name has no ${quote(bad[0])}`);
  const edge = /(?:^|\.)-|-(?=\.|$)|\.\.|^\.|\.$/.exec(host);
  const index = edge === null ? 0 : edge.index;
  return problem(
    'separator',
    index,
    edge?.[0].length ?? host.length,
    "a part of the registry's name is empty or ends in a dash",
  );
}

/** Walks the path as the scanner does and stops where it stops. */
function pathProblem(text: string, start: number, alone: boolean): ReferenceDiagnosis {
  let componentStart = start;
  for (let i = start; i <= text.length; i++) {
    const code = text.charCodeAt(i);
    const atEnd = i === text.length || code === COLON || code === AT || code === SLASH;
    if (atEnd) {
      if (i === componentStart) return emptyPart(text, i, alone);
      if (!isPathCharacter(text.charCodeAt(i - 1)))
        return problem('separator', i - 1, 1, 'a part of the name ends in a separator');
      if (code !== SLASH) break;
      componentStart = i + 1;
      continue;
    }
    if (isPathCharacter(code)) continue;
    const char = String.fromCodePoint(text.codePointAt(i) ?? 0);
    if (/\p{Lu}/u.test(char)) {
      const run = /^\p{Lu}+/u.exec(text.slice(i))?.[0] ?? char;
      return problem('upper-case', i, run.length, 'a repository is written in lower case');
    }
    if (!/[._-]/.test(char))
      return problem('character', i, char.length, `a repository has no ${quote(char)}`);
    const run = /^[._-]+/.exec(text.slice(i))?.[0] ?? char;
    if (i === componentStart)
      return problem('separator', i, run.length, 'a part of the name begins with a separator');
    if (!/^(?:[._]|__|-+)$/.test(run)) {
      return problem(
        'separator',
        i,
        run.length,
        'parts are joined by one dot, one or two underscores, or dashes',
      );
    }
    i += run.length - 1;
  }
  return problem('other', start, text.length - start, 'this is no repository');
}

function emptyPart(text: string, index: number, alone: boolean): ReferenceDiagnosis {
  if (index === 0) return problem('empty-part', 0, alone ? 0 : 1, 'the name is missing');
  const says =
    index === text.length ? 'a repository must follow the slash' : 'nothing stands between the slashes';
  return problem('empty-part', index, index === text.length ? 0 : 1, says);
}

function tagProblem(text: string, start: number): ReferenceDiagnosis {
  let i = start;
  while (i < text.length && text.charCodeAt(i) !== AT && isTagCharacter(text.charCodeAt(i), i === start)) i++;
  const atEnd = i === text.length || text.charCodeAt(i) === AT;
  if (atEnd && i === start) return problem('empty-tag', start, 0, 'a tag must follow the colon');
  if (atEnd) {
    const over = i - start - MAX_TAG_LENGTH;
    return problem(
      'tag-too-long',
      i - over,
      over,
      `the tag has ${i - start} characters, at most ${MAX_TAG_LENGTH}`,
    );
  }
  const char = String.fromCodePoint(text.codePointAt(i) ?? 0);
  if (char === ':') return problem('second-tag', i, text.length - i, 'only one tag can be given');
  const where = i === start ? 'begins with a letter, a digit or an underscore' : `has no ${quote(char)}`;
  return problem('tag-character', i, char.length, `a tag ${where}`);
}

const DIGEST_LENGTHS: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 };

function digestProblem(text: string, start: number): ReferenceDiagnosis | undefined {
  const digest = text.slice(start);
  if (isDigest(digest) && isDigestShape(text, start)) return undefined;
  if (digest === '') return problem('empty-digest', start, 0, 'a digest must follow the at sign');
  const colon = digest.indexOf(':');
  const algorithm = colon < 0 ? digest : digest.slice(0, colon);
  const expected = Object.hasOwn(DIGEST_LENGTHS, algorithm) ? DIGEST_LENGTHS[algorithm] : undefined;
  if (expected === undefined) {
    return problem('digest', start, algorithm.length, 'a digest begins with sha256:, sha384: or sha512:');
  }
  const hexStart = start + colon + 1;
  if (colon < 0) return problem('digest', text.length, 0, `${expected} hexadecimal digits must follow`);
  for (let i = hexStart; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (isHexDigit(code) && !(code >= 65 && code <= 70)) continue;
    return problem('digest', i, 1, 'a digest is made of the digits 0 to 9 and a to f');
  }
  const length = text.length - hexStart;
  const over = Math.max(0, length - expected);
  return problem(
    'digest',
    text.length - over,
    over,
    `the digest has ${length} digits, ${algorithm} has ${expected}`,
  );
}

function quote(char: string): string {
  return `"${char}"`;
}

/** Repairs the obvious; only what can really be read is suggested. */
function suggest(text: string, { problem, index, length }: ReferenceDiagnosis): string | undefined {
  const without = text.slice(0, index) + text.slice(index + length);
  const repaired: Partial<Record<ReferenceProblem, string>> = {
    'white-space': text.trim(),
    scheme: without,
    'upper-case': text.slice(0, index) + lowerName(text.slice(index)),
    'empty-tag': text.slice(0, index - 1) + text.slice(index),
    'empty-digest': text.slice(0, -1),
    'empty-part': text.replaceAll(/\/{2,}/g, '/'),
  };
  const candidate = repaired[problem];
  return candidate !== undefined && candidate !== text && accepts(candidate) ? candidate : undefined;
}

/** Lower-cases up to the tag. */
function lowerName(rest: string): string {
  const end = rest.search(/[:@]/);
  return end < 0 ? rest.toLowerCase() : rest.slice(0, end).toLowerCase() + rest.slice(end);
}
