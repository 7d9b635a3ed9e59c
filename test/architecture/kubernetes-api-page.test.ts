import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { allVerbs, resources, type ResourceInfo } from '../../src/kube/resources.ts';

/* What docs/kubernetes-api.md says of each kind is what is served. */

interface PageRow {
  readonly kind: string;
  readonly stored: boolean;
  readonly verbs: string;
  readonly subresources: readonly string[];
}

const page = readFileSync(new URL('../../docs/kubernetes-api.md', import.meta.url), 'utf8');
const section = page.slice(page.indexOf('## Kinds\n'), page.indexOf('Not served:'));

function rows(): PageRow[] {
  return section
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| kind') && !line.startsWith('| ---'))
    .flatMap((line) => {
      const [kinds = '', stored = '', verbs = '', subresources = ''] = line
        .slice(1)
        .split('|')
        .map((cell) => cell.trim());
      return kinds
        .replace(/ \(.*\)$/, '')
        .split(', ')
        .map((kind) => ({
          kind,
          stored: stored.startsWith('yes'),
          verbs,
          subresources: subresources
            .replaceAll(/ \([^)]*\)|, as declared/g, '')
            .split(', ')
            .filter(Boolean),
        }));
    })
    .filter(({ kind }) => /^[A-Z]\w+$/.test(kind));
}

const verbsOf = (resource: ResourceInfo): string => {
  const missing = allVerbs.filter((verb) => !resource.verbs.includes(verb));
  if (missing.length === 0) return 'all';
  if (resource.verbs.length === 1) return resource.verbs[0] ?? '';
  return `all but ${missing.join(', ')}`;
};

test('every kind that is served has one row, and every row is of a kind that is served', () => {
  const told = rows().map(({ kind }) => kind);
  assert.equal(new Set(told).size, told.length, 'a kind has two rows');
  // Bindings and the Status of an eviction are told of as subresources of Pods.
  const served = new Set(resources.map(({ kind }) => kind));
  assert.deepEqual(
    told.filter((kind) => !served.has(kind)),
    [],
  );
  assert.deepEqual(
    [...served].filter((kind) => !told.includes(kind) && kind !== 'Binding'),
    [],
  );
});

for (const { kind, stored, verbs, subresources } of rows()) {
  test(`the row of ${kind} tells its verbs and subresources`, () => {
    const found = resources.filter((resource) => resource.kind === kind);
    assert.ok(found.length > 0);
    for (const resource of found) {
      assert.equal(stored, resource.verbs.includes('watch'));

      assert.equal(verbs, verbsOf(resource));
      assert.deepEqual(subresources.toSorted(), resource.subresources.map(({ name }) => name).toSorted());
    }
  });
}
