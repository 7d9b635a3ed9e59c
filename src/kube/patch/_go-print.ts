/** Prints a value as Go's `%v` prints decoded JSON: `map[image:x name:a]`, `[1 2]`, `<nil>`. */
export function goPrint(value: unknown): string {
  if (value === null || value === undefined) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(goPrint).join(' ')}]`;
  if (typeof value === 'object') {
    const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `map[${entries.map(([key, entry]) => `${key}:${goPrint(entry)}`).join(' ')}]`;
  }
  return `${value as string | number | boolean}`;
}
