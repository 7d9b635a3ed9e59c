/*
 * The grammar of a reference, scanned by character class (distribution reference grammar; behaviour rules 1.1 to 1.6):
 *
 *   reference  = name [ ":" tag ] [ "@" digest ]
 *   name       = [ domain "/" ] path
 *   domain     = host [ ":" digit+ ]
 *   host       = label *( "." label ) | "[" *( hex | ":" ) "]"
 *   label      = alnum [ *( alnum | "-" ) alnum ]
 *   path       = component *( "/" component )
 *   component  = lower+ *( separator lower+ )         lower is a-z or 0-9
 *   separator  = "." | "_" | "__" | "-"+
 *   tag        = word *127( word | "." | "-" )        word is a letter, a digit or "_"
 *   digest     = part *( [-_+.] part ) ":" 32*hex     part is a letter, then letters and digits
 *
 * Every scanner takes the text and where to begin, and returns where it ended, or -1 when there is no match.
 */

export const SLASH = 47;
export const COLON = 58;
export const AT = 64;
const DOT = 46;
const DASH = 45;
const UNDERSCORE = 95;

const LOWER = 1;
const UPPER = 2;
const DIGIT = 4;
const HEX = 8;
/** What a character is; characters beyond ASCII are nothing. */
const CLASS = new Uint8Array(128);
for (let c = 48; c <= 57; c++) CLASS[c] = DIGIT | HEX;
for (let c = 97; c <= 122; c++) CLASS[c] = LOWER | (c <= 102 ? HEX : 0);
for (let c = 65; c <= 90; c++) CLASS[c] = UPPER | (c <= 70 ? HEX : 0);

const ALNUM = LOWER | UPPER | DIGIT;

function is(code: number, classes: number): boolean {
  return code < 128 && ((CLASS[code] ?? 0) & classes) !== 0;
}

/** The longest tag there is (rule 1.5). */
export const MAX_TAG_LENGTH = 128;
/** Hexadecimal digits that a digest needs at least by grammar (rule 1.6). */
const MIN_HEX_LENGTH = 32;

export function isUpper(code: number): boolean {
  return is(code, UPPER);
}

export function isHexDigit(code: number): boolean {
  return is(code, HEX);
}

export function isPathCharacter(code: number): boolean {
  return is(code, LOWER | DIGIT);
}

export function isTagCharacter(code: number, first: boolean): boolean {
  return is(code, ALNUM) || code === UNDERSCORE || (!first && (code === DOT || code === DASH));
}

/** Tells whether the whole of `text` before `end` is a domain (rules 1.2, 1.3). */
export function isDomain(text: string, end: number): boolean {
  let i = text.charCodeAt(0) === 91 ? scanBracketedAddress(text, end) : scanHostName(text, end);
  if (i < 0) return false;
  if (i === end) return true;
  i++;
  if (i === end) return false;
  for (; i < end; i++) if (!is(text.charCodeAt(i), DIGIT)) return false;
  return true;
}

function scanBracketedAddress(text: string, end: number): number {
  let i = 1;
  while (i < end && (is(text.charCodeAt(i), HEX) || text.charCodeAt(i) === COLON)) i++;
  if (i === 1 || i >= end || text.charCodeAt(i) !== 93) return -1;
  i++;
  return i === end || text.charCodeAt(i) === COLON ? i : -1;
}

/** Stops at `end` or at the colon before the port. */
function scanHostName(text: string, end: number): number {
  let inside = false;
  for (let i = 0; i < end; i++) {
    const code = text.charCodeAt(i);
    if (is(code, ALNUM)) inside = true;
    else if (!inside) return -1;
    else if (code === DOT || code === COLON) {
      if (text.charCodeAt(i - 1) === DASH) return -1;
      if (code === COLON) return i;
      inside = false;
    } else if (code !== DASH) return -1;
  }
  return inside && text.charCodeAt(end - 1) !== DASH ? end : -1;
}

/** Scans path components up to `:`, `@` or the end (rule 1.4). */
export function scanPath(text: string, start: number): number {
  const length = text.length;
  let i = start;
  for (;;) {
    const groupStart = i;
    let code = -1;
    while (i < length) {
      code = text.charCodeAt(i);
      if (code >= 128 || ((CLASS[code] ?? 0) & (LOWER | DIGIT)) === 0) break;
      i++;
    }
    if (i === groupStart) return -1;
    if (i === length || code === COLON || code === AT) return i;
    i++;
    if (code === SLASH || code === DOT) continue;
    if (code === UNDERSCORE) {
      if (text.charCodeAt(i) === UNDERSCORE) i++;
    } else if (code === DASH) {
      while (text.charCodeAt(i) === DASH) i++;
    } else return -1;
  }
}

/** Scans a tag up to `@` or the end (rule 1.5). */
export function scanTag(text: string, start: number): number {
  let i = start;
  for (; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === AT) break;
    if (!isTagCharacter(code, i === start)) return -1;
  }
  return i > start && i - start <= MAX_TAG_LENGTH ? i : -1;
}

/** Tells whether everything from `start` on has the shape of a digest (rule 1.6); its validity is `parseDigest`'s business. */
export function isDigestShape(text: string, start: number): boolean {
  let i = start;
  for (;;) {
    if (!is(text.charCodeAt(i), LOWER | UPPER)) return false;
    while (is(text.charCodeAt(i), ALNUM)) i++;
    const code = text.charCodeAt(i);
    i++;
    if (code === COLON) break;
    if (code !== DASH && code !== UNDERSCORE && code !== 43 && code !== DOT) return false;
  }
  const hexStart = i;
  while (is(text.charCodeAt(i), HEX)) i++;
  return i === text.length && i - hexStart >= MIN_HEX_LENGTH;
}

/** Tells whether `text` is exactly 64 lower-case hexadecimal digits: an image ID without its algorithm. */
export function isIdentifier(text: string): boolean {
  if (text.length !== 64) return false;
  for (let i = 0; i < 64; i++) if (!is(text.charCodeAt(i), HEX) || isUpper(text.charCodeAt(i))) return false;
  return true;
}

/** Lower-cases as Go does: one character for one, so that the dotted capital I becomes a plain i. */
export function goLower(text: string): string {
  return text.replaceAll('\u0130', 'i').toLowerCase();
}
