/** A tag of a repository, with the digest that it names where that is known. */
export interface KnownTag {
  readonly name: string;
  readonly digest?: string;
}

interface Version {
  readonly parts: readonly number[];
  /** What follows the numbers: `-alpine`, `-rc.1`; empty for a plain release. */
  readonly rest: string;
}

/** Words in what follows the numbers that mean "not for production". */
const UNFINISHED = /alpha|beta|rc|dev|pre|snapshot|nightly|test|edge/i;

/**
 * Picks the tag that should stand in a manifest instead of a moving one: the most exact
 * finished version, of those with the same digest when `digest` is given and known. Undefined when no tag is a version.
 */
export function betterTag(tags: readonly KnownTag[], digest?: string): string | undefined {
  const versions = tags
    .map((tag) => ({ tag, version: parseVersion(tag.name) }))
    .filter((found): found is { tag: KnownTag; version: Version } => found.version !== undefined)
    .filter(({ version }) => !UNFINISHED.test(version.rest));
  const same = versions.filter(({ tag }) => digest !== undefined && tag.digest === digest);
  const [best] = (same.length > 0 ? same : versions).toSorted(
    (a, b) =>
      Number(a.version.rest !== '') - Number(b.version.rest !== '') ||
      compareParts(b.version.parts, a.version.parts) ||
      b.version.parts.length - a.version.parts.length ||
      (a.tag.name < b.tag.name ? -1 : 1),
  );
  return best?.tag.name;
}

/** A tag counts as a version when it begins with at least one number, `v` in front or not; at most nine digits each. */
function parseVersion(tag: string): Version | undefined {
  const match = /^v?(\d{1,9}(?:\.\d{1,9}){0,3})((?:[-_+.].*)?)$/.exec(tag);
  if (match === null) return undefined;
  return { parts: (match[1] ?? '').split('.').map(Number), rest: match[2] ?? '' };
}

/** `1.2` and `1.2.9` compare by the numbers that both have. */
function compareParts(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
