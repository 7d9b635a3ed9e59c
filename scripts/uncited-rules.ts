// Lists the rules of docs/behaviour/ that no test cites; `npm run rules` prints none. A test cites a rule by its number.
import { globSync, readFileSync } from 'node:fs';

const root = new URL('..', import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), 'utf8');
/** Sections whose every rule must be cited; the others follow with the parts that implement them. */
const COMPLETE = new Set(
  process.argv.slice(2).length > 0
    ? process.argv.slice(2)
    : ['1', '2', '3', '6', '7', '8', '9', '10', '15', '16'],
);

const cited = new Set<string>();
for (const file of globSync(['src/**/*.test.ts', 'test/**/*.test.ts'], { cwd: root })) {
  for (const [, section, first, last] of read(file).matchAll(
    /(?<![\d.])(\d{1,2})\.(\d{1,2})(?:\s*(?:–|-|to|\.\.)\s*(?:\d{1,2}\.)?(\d{1,2}))?(?![\d.]*\d)/g,
  )) {
    const from = Number(first);
    const to = last === undefined ? from : Number(last);
    for (let rule = from; rule <= Math.max(from, Math.min(to, from + 40)); rule++)
      cited.add(`${section}.${rule}`);
  }
}

let uncited = 0;
for (const page of globSync('docs/behaviour/[0-9]*.md', { cwd: root }).sort()) {
  const rules = new Set(
    [...read(page).matchAll(/^(?:[-*]\s+)?\**(\d{1,2}\.\d{1,2})\b/gm)].map((match) => match[1] ?? ''),
  );
  for (const rule of rules) {
    if (!COMPLETE.has(rule.split('.')[0] ?? '') || cited.has(rule)) continue;
    process.stdout.write(`${rule} (${page}) is cited by no test\n`);
    uncited++;
  }
}
process.exit(uncited === 0 ? 0 : 1);
