/** Counts the edits (insert, delete, replace, swap of neighbours) that turn one text into the other. */
export function editDistance(a: string, b: string): number {
  const rows: number[][] = [];
  for (let i = 0; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const above = rows[i - 1];
      if (above === undefined) {
        row.push(j);
        continue;
      }
      const replace = (above[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(replace, (above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, (rows[i - 2]?.[j - 2] ?? 0) + 1);
      row.push(best);
    }
    rows.push(row);
  }
  return rows[a.length]?.[b.length] ?? 0;
}

/** Longest text compared: the work grows with the square of the length, and nobody mistypes a longer name. */
const LONGEST = 256;

/**
 * Returns the candidates that someone who typed `text` may have meant, nearest first: at most `most`,
 * each within a third of the length in edits or beginning with the text.
 */
export function nearest(text: string, candidates: Iterable<string>, most = 3): string[] {
  if (text.length > LONGEST) return [];
  const wanted = text.toLowerCase();
  const near: { candidate: string; distance: number }[] = [];
  for (const candidate of candidates) {
    if (candidate.length > LONGEST) continue;
    const other = candidate.toLowerCase();
    const distance = other.startsWith(wanted) && wanted.length >= 2 ? 0 : editDistance(wanted, other);
    if (distance <= Math.max(1, Math.floor(Math.max(wanted.length, 3) / 3)))
      near.push({ candidate, distance });
  }
  near.sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? -1 : 1));
  return near.slice(0, most).map((each) => each.candidate);
}
