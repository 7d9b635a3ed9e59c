/** Longest pattern: tags and names are shorter. */
const PATTERN_LIMIT = 512;

/**
 * Returns a test for a pattern in which `*` stands for any characters, none included, and `?` for one. It takes time in
 * proportion to the text times the pattern whatever they are.
 *
 * @throws RangeError when the pattern is longer than any name
 */
export function globMatcher(pattern: string): (text: string) => boolean {
  if (pattern.length > PATTERN_LIMIT) throw new RangeError('Cannot match a pattern: it is too long');
  return (text) => {
    let p = 0;
    let t = 0;
    let star = -1;
    let resume = 0;
    while (t < text.length) {
      if (p < pattern.length && pattern[p] === '*') {
        star = p++;
        resume = t;
      } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
        p++;
        t++;
      } else if (star >= 0) {
        // Let the last star take one more character.
        p = star + 1;
        t = ++resume;
      } else return false;
    }
    while (pattern[p] === '*') p++;
    return p === pattern.length;
  };
}
