import { parseAuthority, unescapePath } from './_go-url.ts';

/*
 * Keys of docker configs, `matchImages` of credential providers and the `auth` keys that those answer are one language:
 *
 *   pattern = [ "http://" | "https://" ] host [ ":" port ] [ path ]
 *
 * A host is compared label by label, `*` standing for any text within one label; a path is a plain prefix (rule 6.12).
 */

/** The parts of a pattern or of an image repository that matching compares. */
export interface RegistryPattern {
  /** `host[:port]`: two patterns without wildcard that differ here match different images. */
  readonly host: string;
  readonly labels: readonly string[];
  readonly port: string;
  readonly path: string;
  /** True when some label holds a character that a glob gives a meaning. */
  readonly wildcard: boolean;
}

/** The first part that kept a pattern from matching, in the order in which they are compared. */
export type Mismatch =
  | { readonly part: 'port'; readonly pattern: string; readonly image: string }
  | { readonly part: 'label-count'; readonly pattern: number; readonly image: number }
  | { readonly part: 'path'; readonly pattern: string; readonly image: string }
  | { readonly part: 'label'; readonly pattern: string; readonly image: string };

/** Splits a string that names a registry without scheme; undefined when Go's `net/url` would refuse it. */
export function parsePattern(schemeless: string): RegistryPattern | undefined {
  const url = splitUrl(schemeless);
  if (url === undefined) return undefined;
  const { host, port } = splitHostPort(url.host);
  return {
    host: port === '' ? host : `${host}:${port}`,
    labels: host.split('.'),
    port,
    path: url.path,
    wildcard: /[*?[\\]/.test(host),
  };
}

/**
 * Turns the key of a docker config entry into its index key (rule 6.10): without scheme, without `/v1/` or `/v2/` in front of the
 * path, without a path that is only `/`. Undefined when the key is no URL: such an entry is skipped.
 */
export function indexKey(entryKey: string): string | undefined {
  const schemeless = entryKey.replace(/^https?:\/\//, '');
  const url = splitUrl(schemeless);
  if (url === undefined) return undefined;
  const path = /^\/v[12]\//.test(url.path) ? url.path.slice(3) : url.path;
  return path === '' || path === '/' ? url.host : url.host + path;
}

/** Compares a pattern with an image repository (rule 6.12) and returns the first part that differs; undefined is a match. */
export function mismatch(pattern: RegistryPattern, image: RegistryPattern): Mismatch | undefined {
  if (pattern.port !== image.port) return { part: 'port', pattern: pattern.port, image: image.port };
  if (pattern.labels.length !== image.labels.length) {
    return { part: 'label-count', pattern: pattern.labels.length, image: image.labels.length };
  }
  if (!image.path.startsWith(pattern.path)) {
    return { part: 'path', pattern: pattern.path, image: image.path };
  }
  for (let index = 0; index < pattern.labels.length; index++) {
    const label = pattern.labels[index] ?? '';
    const imageLabel = image.labels[index] ?? '';
    if (label !== imageLabel && !(pattern.wildcard && globMatches(label, imageLabel))) {
      return { part: 'label', pattern: label, image: imageLabel };
    }
  }
  return undefined;
}

/** Tells whether a pattern as written in a provider's `matchImages` matches a repository such as `docker.io/library/busybox`. */
export function patternMatches(pattern: string, repository: string): boolean {
  const left = parsePattern(pattern);
  const right = parsePattern(repository);
  return left !== undefined && right !== undefined && mismatch(left, right) === undefined;
}

/** Says in one clause why a pattern does not match; for traces. */
export function describeMismatch(why: Mismatch): string {
  if (why.part === 'port') return `port ${nameOf(why.pattern)} is not ${nameOf(why.image)}`;
  if (why.part === 'label-count') return `host has ${why.pattern} labels, the image's has ${why.image}`;
  if (why.part === 'path') return `image path "${why.image}" does not begin with "${why.pattern}"`;
  return `host label "${why.pattern}" does not match "${why.image}"`;
}

function nameOf(port: string): string {
  return port === '' ? '(none)' : port;
}

function splitUrl(schemeless: string): { host: string; path: string } | undefined {
  // Go refuses control characters anywhere in a URL.
  if (/[\0-\x1f\x7f]/.test(schemeless)) return undefined;
  const [beforeFragment = '', ...fragment] = schemeless.split('#');
  if (unescapePath(fragment.join('#')) === undefined) return undefined;
  const withoutQuery = beforeFragment.split('?', 1)[0] ?? '';
  const slash = withoutQuery.indexOf('/');
  const host = parseAuthority(slash < 0 ? withoutQuery : withoutQuery.slice(0, slash));
  const path = unescapePath(slash < 0 ? '' : withoutQuery.slice(slash));
  return host === undefined || path === undefined ? undefined : { host, path };
}

/** Splits as Go's `net.SplitHostPort`; what that refuses is a host as a whole. */
function splitHostPort(hostPort: string): { host: string; port: string } {
  const bracketed = /^\[([^[\]]*)\]:([^:[\]]*)$/.exec(hostPort) ?? /^([^:[\]]*):([^:[\]]*)$/.exec(hostPort);
  return bracketed === null
    ? { host: hostPort, port: '' }
    : { host: bracketed[1] ?? '', port: bracketed[2] ?? '' };
}

/** Matches one label as Go's `filepath.Match`: `*`, `?`, `[…]`. Backtracks to the last star only, so time is bounded by the product of the lengths. */
export function globMatches(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  let star = -1;
  let resume = 0;
  while (t < text.length) {
    const step = p < pattern.length && pattern[p] !== '*' ? matchOne(pattern, p, text[t] ?? '') : undefined;
    if (step === 'bad') return false;
    if (pattern[p] === '*') {
      star = p++;
      resume = t;
    } else if (step !== undefined && step.matches) {
      p = step.next;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}

function matchOne(pattern: string, at: number, char: string): { matches: boolean; next: number } | 'bad' {
  const head = pattern[at];
  if (head === '?') return { matches: true, next: at + 1 };
  if (head !== '[') return { matches: head === char, next: at + 1 };
  let next = at + 1;
  const negated = pattern[next] === '^';
  if (negated) next++;
  let found = false;
  for (let count = 0; pattern[next] !== ']' || count === 0; count++) {
    const low = pattern[next];
    if (low === undefined || low === '-' || low === ']') return 'bad';
    next++;
    let high = low;
    if (pattern[next] === '-') {
      const end = pattern[next + 1];
      if (end === undefined || end === '-' || end === ']') return 'bad';
      high = end;
      next += 2;
    }
    if (low <= char && char <= high) found = true;
  }
  return { matches: found !== negated, next: next + 1 };
}
