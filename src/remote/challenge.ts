/** One challenge of a `WWW-Authenticate` header. @see RFC 9110, section 11.6.1 */
export interface Challenge {
  /** Lower-case scheme: `bearer`, `basic`, `negotiate`. */
  readonly scheme: string;
  /** Parameters by lower-case name. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** More than any registry sends; a longer header is cut, so that a hostile one costs nothing. */
const MAX_HEADER_LENGTH = 16_384;

const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const TOKEN68 = /[A-Za-z0-9\-._~+/]+=*/y;

/**
 * Reads all challenges of all `WWW-Authenticate` headers, Bearer before Basic before others, otherwise in order.
 * Quoted values may hold commas and escaped quotes; what cannot be read is skipped, never thrown.
 */
export function parseChallenges(header: string | readonly string[] | undefined): Challenge[] {
  const values = header === undefined ? [] : typeof header === 'string' ? [header] : header;
  return values.flatMap((value) => parseHeader(value.slice(0, MAX_HEADER_LENGTH))).sort(byPreference);
}

function byPreference(a: Challenge, b: Challenge): number {
  return rank(a.scheme) - rank(b.scheme);
}

function rank(scheme: string): number {
  if (scheme === 'bearer') return 0;
  return scheme === 'basic' ? 1 : 2;
}

function parseHeader(text: string): Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  let at = 0;
  const skip = (characters: string): void => {
    while (at < text.length && characters.includes(text.charAt(at))) at++;
  };
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  const quoted = (): string => {
    let value = '';
    at++;
    while (at < text.length && text.charAt(at) !== '"') {
      if (text.charAt(at) === '\\' && at + 1 < text.length) at++;
      value += text.charAt(at++);
    }
    at++;
    return value;
  };
  while (at < text.length) {
    skip(' \t,');
    const start = at;
    const word = take(TOKEN);
    if (word === undefined) {
      at++;
      continue;
    }
    skip(' \t');
    const current = challenges.at(-1);
    if (text.charAt(at) === '=' && current !== undefined) {
      at++;
      skip(' \t');
      const value = text.charAt(at) === '"' ? quoted() : (take(/[^\s,]*/y) ?? '');
      const name = word.toLowerCase();
      if (!current.parameters.has(name)) current.parameters.set(name, value);
      continue;
    }
    if (text.charAt(at) === '=') {
      at = start + word.length + 1;
      continue;
    }
    challenges.push({ scheme: word.toLowerCase(), parameters: new Map() });
    skipToken68();
  }
  return challenges;

  /** Steps over the opaque blob of schemes such as Negotiate, which is not a parameter. */
  function skipToken68(): void {
    const before = at;
    const blob = take(TOKEN68);
    if (blob === undefined) return;
    skip(' \t');
    const standsAlone = at >= text.length || text.charAt(at) === ',';
    if (!standsAlone || (!blob.endsWith('=') && /^[A-Za-z]+$/.test(blob))) at = before;
  }
}
