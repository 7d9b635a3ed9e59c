/** Lines shown around each change. */
const CONTEXT = 3;

/** Longer texts are not compared line by line: the table of the comparison grows with the product of both. */
const MAX_CELLS = 4_000_000;

type Step = { readonly sign: ' ' | '-' | '+'; readonly line: string };

/** Returns the difference of two texts in unified form, hunk headers without file names; empty when they are equal. */
export function unifiedDiff(before: string, after: string): string {
  const steps = compareLines(before.split('\n'), after.split('\n'));
  let text = '';
  for (const [start, end] of hunks(steps)) text += printHunk(steps, start, end);
  return text;
}

/** Finds the shortest way from one list of lines to the other; removals come before additions. */
function compareLines(before: readonly string[], after: readonly string[]): Step[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let tail = 0;
  while (
    tail < before.length - start &&
    tail < after.length - start &&
    before[before.length - 1 - tail] === after[after.length - 1 - tail]
  ) {
    tail += 1;
  }
  const olds = before.slice(start, before.length - tail);
  const news = after.slice(start, after.length - tail);
  const same = (lines: readonly string[]): Step[] => lines.map((line) => ({ sign: ' ', line }));
  return [
    ...same(before.slice(0, start)),
    ...middle(olds, news),
    ...same(before.slice(before.length - tail)),
  ];
}

function middle(olds: readonly string[], news: readonly string[]): Step[] {
  const remove = (line: string): Step => ({ sign: '-', line });
  const insert = (line: string): Step => ({ sign: '+', line });
  if (olds.length * news.length > MAX_CELLS) return [...olds.map(remove), ...news.map(insert)];
  const width = news.length + 1;
  // common[i * width + j]: most lines that olds from i and news from j have in common, in order.
  const common = new Uint32Array((olds.length + 1) * width);
  const at = (row: number, column: number): number => common[row * width + column] ?? 0;
  for (let row = olds.length - 1; row >= 0; row -= 1) {
    for (let column = news.length - 1; column >= 0; column -= 1) {
      common[row * width + column] =
        olds[row] === news[column]
          ? at(row + 1, column + 1) + 1
          : Math.max(at(row + 1, column), at(row, column + 1));
    }
  }
  const steps: Step[] = [];
  let row = 0;
  let column = 0;
  while (row < olds.length || column < news.length) {
    const old = olds[row];
    const now = news[column];
    if (old !== undefined && old === now) {
      steps.push({ sign: ' ', line: old });
      row += 1;
      column += 1;
    } else if (old !== undefined && (now === undefined || at(row + 1, column) >= at(row, column + 1))) {
      steps.push(remove(old));
      row += 1;
    } else if (now !== undefined) {
      steps.push(insert(now));
      column += 1;
    }
  }
  return steps;
}

/** Returns ranges of steps around changes, those that touch joined. */
function hunks(steps: readonly Step[]): [start: number, end: number][] {
  const ranges: [number, number][] = [];
  steps.forEach(({ sign }, index) => {
    if (sign === ' ') return;
    const start = Math.max(0, index - CONTEXT);
    const end = Math.min(steps.length, index + CONTEXT + 1);
    const last = ranges.at(-1);
    if (last !== undefined && start <= last[1]) last[1] = end;
    else ranges.push([start, end]);
  });
  return ranges;
}

function printHunk(steps: readonly Step[], start: number, end: number): string {
  const count = (from: number, to: number, sign: '-' | '+'): number =>
    steps.slice(from, to).filter((step) => step.sign === ' ' || step.sign === sign).length;
  const range = (sign: '-' | '+'): string => {
    const lines = count(start, end, sign);
    const first = count(0, start, sign) + (lines === 0 ? 0 : 1);
    return lines === 1 ? `${sign}${first}` : `${sign}${first},${lines}`;
  };
  const body = steps.slice(start, end).map(({ sign, line }) => `${sign}${line}\n`);
  return `@@ ${range('-')} ${range('+')} @@\n${body.join('')}`;
}
