import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/*
 * What a node loads before anybody asks it for anything. Memory that an idle agent does not need goes unnoticed by every other
 * test; docs/architecture.md says what each of these costs.
 */

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Imports that are carried out when the file is loaded: neither of types nor by `import()`. */
const LOADED = /^(?:import|export)\s(?!type\s)(?:[^'"]*?\sfrom\s)?\s*['"]([^'"]+)['"]/gm;

/** Follows what a file loads; returns names of packages and built-in modules, each with the way to it. */
function loadedBy(start: string): Map<string, string> {
  const found = new Map<string, string>();
  const seen = new Set<string>();
  const visit = (file: string, way: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(join(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
    for (const [, name = ''] of text.matchAll(LOADED)) {
      if (name.startsWith('.')) {
        const next = relative(root, join(root, dirname(file), name));
        visit(next, `${way} → ${next}`);
      } else if (!found.has(name)) found.set(name, way);
    }
  };
  visit(start, start);
  return found;
}

for (const { command, not } of [
  {
    command: 'node',
    not: ['@grpc/grpc-js', '@grpc/proto-loader', 'undici', 'ws', 'zod', 'selfsigned', 'jose'],
  },
  { command: 'up', not: ['@grpc/grpc-js', '@grpc/proto-loader', 'undici', 'zod', 'selfsigned'] },
]) {
  test(`dray ${command} loads no package before it is needed, nor Node’s second HTTP client`, () => {
    const loaded = loadedBy(`src/cli/${command}.ts`);
    assert.ok(loaded.has('commander') && loaded.has('node:path'), 'imports are seen at all');
    // An import of either reads all that they offer, and one of those loads that client.
    const unwanted = [...not, 'node:http', 'node:https'].filter((name) => loaded.has(name));
    assert.deepEqual(
      unwanted.map((name) => `${name}: ${loaded.get(name)}`),
      [],
    );
  });
}
