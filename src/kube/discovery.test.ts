import assert from 'node:assert/strict';
import { test } from 'node:test';

import { aggregatedDiscovery, apiGroup, apiGroupList, apiResourceList, apiVersions } from './discovery.ts';
import { readRecorded } from './fixtures/recorded.ts';

interface Named {
  name?: string;
  resource?: string;
}

const recorded = new Map(
  readRecorded<{ name: string; body: unknown }>('discovery').map(({ name, body }) => [name, body]),
);
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller says what the document is
const plain = <T>(value: unknown): T => JSON.parse(JSON.stringify(value)) as T;

/** What we do not serve is left out of a recording. */
function served(list: readonly Named[], ours: readonly Named[]): Named[] {
  const names = new Set(ours.map(({ name, resource }) => name ?? resource));
  return list.filter(({ name, resource }) => names.has(name ?? resource));
}

for (const [file, group, version] of [
  ['api-v1', '', 'v1'],
  ['apis-apps-v1', 'apps', 'v1'],
  ['apis-batch-v1', 'batch', 'v1'],
] as const) {
  test(`resources of ${file} are listed as a real server lists them`, () => {
    const ours = plain<{ resources: Named[] }>(apiResourceList(group, version));
    const theirs = plain<{ resources: Named[] }>(recorded.get(file));
    assert.ok(ours.resources.length >= 4);
    assert.deepEqual(ours, { ...theirs, resources: served(theirs.resources, ours.resources) });
  });
}

interface Aggregated {
  items: { metadata: { name?: string }; versions: { resources: Named[] }[] }[];
}

for (const [file, part] of [
  ['api-aggregated', 'core'],
  ['apis-aggregated', 'groups'],
] as const) {
  test(`aggregated discovery of ${part} equals a real server's`, () => {
    const ours = plain<Aggregated>(aggregatedDiscovery(part));
    const theirs = plain<Aggregated>(recorded.get(file));
    const items = theirs.items.map((item) => {
      const same = ours.items.find(({ metadata }) => metadata.name === item.metadata.name);
      return {
        ...item,
        versions: item.versions.map((version, index) => ({
          ...version,
          resources: served(version.resources, same?.versions[index]?.resources ?? []),
        })),
      };
    });
    assert.deepEqual(ours, { ...theirs, items });
  });
}

test("a group and the list of versions equal a real server's", () => {
  assert.deepEqual(plain<unknown>(apiGroup('apps')), recorded.get('apis-apps'));
  assert.deepEqual(plain<unknown>(apiVersions('127.0.0.1:26443')), recorded.get('api'));
});

test('what is not served is absent', () => {
  assert.equal(apiGroup('nosuch.example'), undefined);
  assert.equal(apiResourceList('apps', 'v2'), undefined);
  const { groups } = plain<{ groups: { name: string }[] }>(apiGroupList());
  assert.ok(!groups.some(({ name }) => name === ''));
});
