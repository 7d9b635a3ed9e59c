import { CodedError } from '../../base/coded-error.ts';
import { ReferenceError, trimTagAndDigest } from '../../oci/reference.ts';

export class AllowlistError extends CodedError<'BAD_PATTERN'> {}

const WILDCARD = '/*';

/** Images that need no verification, by exact name or by everything below a prefix (rules 3.16, 3.17). */
export class ImageAllowlist {
  readonly #names = new Set<string>();
  /** Each ends with a slash. */
  readonly #prefixes: string[] = [];

  /**
   * Reads patterns such as `registry.example/team/app` and `registry.example/*`.
   *
   * @throws AllowlistError worded as the kubelet's validation
   */
  constructor(patterns: readonly string[]) {
    for (const pattern of patterns) {
      const name = checkPattern(pattern);
      if (pattern.endsWith(WILDCARD)) this.#prefixes.push(name);
      else this.#names.add(name);
    }
  }

  /** Compares text with text: nothing is normalised, and a name that cannot be read is taken as it is. */
  matches(image: string): boolean {
    const name = trimOrKeep(image);
    return this.#names.has(name) || this.#prefixes.some((prefix) => name.startsWith(prefix));
  }
}

function trimOrKeep(image: string): string {
  try {
    return trimTagAndDigest(image);
  } catch (error) {
    if (error instanceof ReferenceError) return image;
    throw error;
  }
}

/** Returns the name without the asterisk; what stands before a wildcard is a prefix, not a name, and is not parsed. */
function checkPattern(pattern: string): string {
  const bad = (why: string): AllowlistError => new AllowlistError('BAD_PATTERN', why);
  if (pattern.trim() !== pattern) throw bad(`leading/trailing spaces are not allowed: ${pattern}`);
  const wildcard = pattern.endsWith(WILDCARD);
  const name = wildcard ? pattern.slice(0, -1) : pattern;
  if (name === '') throw bad(`the supplied pattern is too short: ${pattern}`);
  if (name.includes('*')) {
    throw bad(`not a valid wildcard pattern, only patterns ending with '/*' are allowed: ${pattern}`);
  }
  if (wildcard) {
    if (name === '/') throw bad('at least registry hostname is required');
    return name;
  }
  try {
    if (trimTagAndDigest(name) === name) return name;
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    throw new AllowlistError('BAD_PATTERN', `failed to parse as an image name: ${error.message}`, {
      cause: error,
    });
  }
  throw bad(`neither tag nor digest is accepted in an image reference: ${pattern}`);
}
