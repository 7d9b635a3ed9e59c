import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

/*
 * Which folder may import which: docs/architecture.md explains the table. Tools that follow imports need the compiler's
 * API, which TypeScript 7 does not have; import statements are plain enough to be read as text.
 */

/** From the ground up: a folder imports only what stands before it. */
const LAYERS = [
  'base',
  'observe',
  'oci',
  'archive',
  'content',
  'images',
  'credentials',
  'remote',
  'trust',
  'pull',
  'runtime',
  'kube',
  'admission',
  'kubelet',
  'cri',
  'registry',
  'apiserver',
  'controllers',
  'doctor',
  'daemon',
  'cli',
  'public',
] as const;

/** Servers stand beside one another: only `daemon` knows them all. */
const STRANGERS: readonly (readonly [string, string])[] = [
  ['apiserver', 'registry'],
  ['apiserver', 'kubelet'],
  ['apiserver', 'cri'],
  ['registry', 'kube'],
  ['registry', 'kubelet'],
  ['registry', 'cri'],
  ['registry', 'admission'],
  ['registry', 'pull'],
  ['controllers', 'apiserver'],
  ['controllers', 'registry'],
  ['controllers', 'kubelet'],
  ['kubelet', 'apiserver'],
];

/** The folders that may import a package. One folder a package, but for servers' frameworks, clients and formats. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  '@clack/prompts': ['cli'],
  '@grpc/grpc-js': ['cri'],
  '@grpc/proto-loader': ['cri'],
  '@marcbachmann/cel-js': ['kube'],
  bcryptjs: ['registry'],
  commander: ['cli'],
  jose: ['registry', 'apiserver'],
  pino: ['observe'],
  rfc6902: ['kube'],
  selfsigned: ['daemon'],
  'smol-toml': ['remote'],
  ws: ['kubelet'],
  undici: ['base', 'remote', 'kube', 'credentials'],
  yaml: ['kube', 'credentials', 'kubelet', 'apiserver', 'registry', 'admission', 'cli'],
  zod: ['registry', 'kubelet', 'daemon'],
};

const root = fileURLToPath(new URL('../..', import.meta.url));
const IMPORT =
  /^\s*(?:import|export)\s(?:[^'"]*?\sfrom\s)?\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)|\bnew URL\(\s*['"](\.[^'"]+\.ts)['"]/gm;

interface Import {
  readonly from: string;
  readonly to: string;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
  return [...text.matchAll(IMPORT)].map((match) => ({
    from: file,
    to: match[1] ?? match[2] ?? match[3] ?? '',
  }));
}

const sources = globSync('src/**/*.{ts,tsx}', { cwd: root });
const shipped = sources.filter((file) => !/\.test\.tsx?$/.test(file));
const layerOf = (file: string): string => file.split('/')[1] ?? '';
const resolved = (edge: Import): string => relative(root, join(root, dirname(edge.from), edge.to));
const inside = shipped.flatMap(importsOf).filter((edge) => edge.to.startsWith('.'));

test('every folder of src stands in the table of layers', () => {
  const unknown = new Set(
    sources
      .map(layerOf)
      .filter((layer) => layer !== '' && !layer.endsWith('.ts') && !LAYERS.some((known) => known === layer)),
  );
  assert.deepEqual([...unknown], []);
});

test('imports go down the table of layers only', () => {
  const upward = inside.filter((edge) => {
    const from = LAYERS.findIndex((layer) => layer === layerOf(edge.from));
    const to = LAYERS.findIndex((layer) => layer === layerOf(resolved(edge)));
    return to > from;
  });
  assert.deepEqual(upward, []);
});

test('servers do not import one another, and the node and controllers reach the API over HTTP only', () => {
  const met = inside.filter((edge) =>
    STRANGERS.some(([from, to]) => layerOf(edge.from) === from && layerOf(resolved(edge)) === to),
  );
  assert.deepEqual(met, []);
});

test('shipped code imports no test', () => {
  assert.deepEqual(
    inside.filter((edge) => /\.test\.tsx?$/.test(edge.to) || resolved(edge).startsWith('test/')),
    [],
  );
});

test('no file imports itself through others', () => {
  const edges = new Map<string, string[]>();
  for (const edge of inside) edges.set(edge.from, [...(edges.get(edge.from) ?? []), resolved(edge)]);
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file);
    if (at >= 0) {
      cycles.push([...path.slice(at), file].join(' -> '));
      return;
    }
    if (done.has(file)) return;
    for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of shipped) visit(file, []);
  assert.deepEqual(cycles, []);
});

test('a package is imported only where the table says', () => {
  const strays = shipped
    .flatMap(importsOf)
    .filter((edge) => !edge.to.startsWith('.') && !isBuiltin(edge.to))
    .filter((edge) => {
      const name = edge.to.startsWith('@')
        ? edge.to.split('/').slice(0, 2).join('/')
        : (edge.to.split('/')[0] ?? '');
      return !(PACKAGES[name] ?? []).includes(layerOf(edge.from));
    });
  assert.deepEqual(strays, []);
});

test('the reader of imports sees each form of them', () => {
  const forms =
    "import a from './a.ts';\nimport './b.ts';\nexport { c } from './c.ts';\nconst d = await import('./d.ts');\nimport type {\n  E,\n} from './e.ts';\n";
  assert.deepEqual(
    [...forms.matchAll(IMPORT)].map((match) => match[1] ?? match[2]),
    ['./a.ts', './b.ts', './c.ts', './d.ts', './e.ts'],
  );
});
