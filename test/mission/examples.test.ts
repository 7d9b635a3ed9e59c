import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ObjectExplanation } from '../../src/doctor/explain-object.ts';
import { parseManifests } from '../../src/kube/decode/parse-manifests.ts';
import { findKind } from '../../src/kube/resources.ts';
import { runDray } from '../support/run-dray.ts';
import { startTestApi, type TestApi } from '../support/test-api.ts';

/* Every example is what its README says: an object that the API takes as it is, and that explain has no more to say about. */

const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url));
const README = readFileSync(join(EXAMPLES, 'README.md'), 'utf8');
const ROW = /^\| \[`(?<file>[^`]+)`\]\((?<link>[^)]+)\) \| (?<shows>[^|]+) \| (?<finds>[^|]+) \|$/gm;
const LISTED = new Map(
  [...README.matchAll(ROW)].map(({ groups }) => [
    groups?.['file'] ?? '',
    [...(groups?.['finds'] ?? '').matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '').toSorted(),
  ]),
);
const PRESENT = readdirSync(EXAMPLES).filter((name) => name !== 'README.md');

test('the README names every example, and no other', () => {
  assert.deepEqual([...LISTED.keys()].toSorted(), PRESENT.toSorted());
});

describe('an example', () => {
  let api: TestApi;
  before(async () => {
    api = await startTestApi();
  });
  after(() => api.close());

  for (const name of PRESENT) {
    const path = join(EXAMPLES, name);
    const directory = !name.endsWith('.yaml');

    test(`B8 D8: ${name} is taken by the API as it is, with strict validation and without a warning`, async () => {
      const files = directory
        ? readdirSync(path)
            .filter((file) => file !== 'kustomization.yaml')
            .map((file) => join(path, file))
        : [path];
      for (const object of files.flatMap((file) => parseManifests(readFileSync(file, 'utf8')))) {
        const kind = findKind(object.apiVersion, object.kind);
        assert.ok(kind !== undefined, `${object.apiVersion} ${object.kind}`);
        const namespace = object.metadata.namespace ?? 'default';
        if (kind.namespaced) await present(api, namespace);
        const group = object.apiVersion.includes('/')
          ? `/apis/${object.apiVersion}`
          : `/api/${object.apiVersion}`;
        const where = kind.namespaced ? `${group}/namespaces/${namespace}` : group;
        const query = 'fieldValidation=Strict&dryRun=All';
        const answer = await api.send('POST', `${where}/${kind.resource}?${query}`, { body: object });
        assert.equal(answer.code, 201, answer.text);
        assert.equal(answer.headers['warning'], undefined);
      }
    });

    test(`F5: explain finds in ${name} what its README says`, async () => {
      const outcome = await runDray([
        'explain',
        '--no-node-files',
        directory ? '-k' : '-f',
        path,
        '-o',
        'json',
      ]);
      const objects = JSON.parse(outcome.stdout) as ObjectExplanation[];
      const images = objects.flatMap((object) => object.images);
      const warnings = [...objects, ...images].flatMap((each) => each.warnings.map(({ id }) => id as string));
      const problems = [...objects, ...images]
        .flatMap((each) => each.problems)
        .map((problem) =>
          problem.startsWith('Unable to retrieve some image pull secrets') ? 'missing-secret' : problem,
        );
      assert.deepEqual([...new Set([...warnings, ...problems])].toSorted(), LISTED.get(name));
      assert.equal(outcome.code, problems.length === 0 ? 0 : 1, outcome.stderr);
      assert.ok(images.length > 0);
      for (const { reference } of images) assert.ok(reference.valid);
    });
  }
});

/** Makes a namespace and its account, as the controllers of a running system do. */
async function present(api: TestApi, name: string): Promise<void> {
  const objects: readonly (readonly [string, string, string])[] = [
    ['/api/v1/namespaces', 'Namespace', name],
    [`/api/v1/namespaces/${name}/serviceaccounts`, 'ServiceAccount', 'default'],
  ];
  for (const [path, kind, named] of objects) {
    const body = { apiVersion: 'v1', kind, metadata: { name: named } };
    const answer = await api.send('POST', path, { body });
    assert.ok(answer.code === 201 || answer.code === 409, answer.text);
  }
}
