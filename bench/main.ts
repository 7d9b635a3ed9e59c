// `npm run bench` measures everything; `npm run bench -- start names` only what is named; `--save` writes bench/results/.
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import type { Bench, Row } from './row.ts';

const BENCHES: Readonly<Record<string, () => Promise<{ bench: Bench }>>> = {
  start: () => import('./start.ts'),
  names: () => import('./names.ts'),
  explain: () => import('./explain.ts'),
  credentials: () => import('./credentials.ts'),
  pull: () => import('./pull.ts'),
  node: () => import('./node.ts'),
  registry: () => import('./registry.ts'),
  api: () => import('./api.ts'),
};

const args = process.argv.slice(2);
const save = args.includes('--save');
const chosen = args.filter((argument) => !argument.startsWith('-'));
const unknown = chosen.filter((name) => !Object.hasOwn(BENCHES, name));
if (unknown.length > 0) {
  process.stderr.write(
    `bench: unknown ${unknown.join(', ')}; there are ${Object.keys(BENCHES).join(', ')}\n`,
  );
  process.exit(2);
}

const machine = `${type()} ${release()}, ${availableParallelism()} × ${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
process.stdout.write(`${machine}\n`);
for (const name of chosen.length === 0 ? Object.keys(BENCHES) : chosen) {
  const { bench } = (await BENCHES[name]?.()) ?? {};
  if (bench === undefined) continue;
  const rows = await bench();
  const table = format(rows);
  process.stdout.write(`\n## ${name}\n\n${table}`);
  if (save) {
    const results = new URL('results/', import.meta.url);
    mkdirSync(results, { recursive: true });
    writeFileSync(
      new URL(`${name}.md`, results),
      `# ${name}\n\n${new Date().toISOString().slice(0, 10)}, ${machine}\n\n${table}`,
    );
  }
}

function format(rows: readonly Row[]): string {
  const lines = rows.map(
    (row) =>
      `| ${row.what} | ${row.measured} | ${row.target ?? ''} | ${row.met === undefined ? '' : row.met ? 'yes' : '**no**'} | ${row.note ?? ''} |`,
  );
  return `| what | measured | target | met | note |\n|---|---|---|---|---|\n${lines.join('\n')}\n`;
}
