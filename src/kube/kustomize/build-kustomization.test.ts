import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findKubectls } from '../../../test/support/tools.ts';
import { parseManifests } from '../decode/parse-manifests.ts';
import type { KubeObject } from '../object.ts';
import { buildKustomization } from './build-kustomization.ts';

const FIXTURES = fileURLToPath(new URL('fixtures/', import.meta.url));

/** kustomize folds base64, which means nothing. */
function comparable(objects: readonly KubeObject[]): object[] {
  return objects.map(
    (object) =>
      JSON.parse(
        JSON.stringify(object, (key, value: unknown) =>
          key === '.dockerconfigjson' ? String(value).replaceAll('\n', '') : value,
        ),
      ) as KubeObject,
  );
}

async function build(files: Readonly<Record<string, string>>, directory = '.'): Promise<KubeObject[]> {
  const root = await mkdtemp(join(tmpdir(), 'drayage-kustomize-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(root, name)), { recursive: true });
      await writeFile(join(root, name), text);
    }
    return await buildKustomization(join(root, directory));
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

const POD =
  'apiVersion: v1\nkind: Pod\nmetadata: {name: foo, namespace: awesomeapps}\nspec: {containers: [{name: foo, image: "janedoe/awesomeapp:v1"}], imagePullSecrets: [{name: myregistrykey}]}\n';

const OVERLAYS = [
  ['an overlay with generators, patches, labels and images', 'overlay', 'expected.yaml'],
  [
    'layers with components, merged and replaced generators, replacements, prefixes and every kind of reference',
    'layers/top',
    'layers/expected.yaml',
  ],
] as const;
for (const [what, directory, recorded] of OVERLAYS) {
  test(`${what}: as kubectl kustomize recorded`, async () => {
    const expected = parseManifests(await readFile(join(FIXTURES, recorded), 'utf8'));
    assert.deepEqual(comparable(await buildKustomization(join(FIXTURES, directory))), comparable(expected));
  });

  test(
    `${what}: as the kubectl of this machine builds it`,
    { skip: findKubectls().length === 0 ? 'needs kubectl, not installed on this machine' : false },
    async () => {
      const kubectl = findKubectls().at(-1) ?? '';
      const built = execFileSync(kubectl, ['kustomize', join(FIXTURES, directory)], {
        encoding: 'utf8',
        // The older field names in there are warned about.
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      const expected = parseManifests(built);
      assert.deepEqual(comparable(await buildKustomization(join(FIXTURES, directory))), comparable(expected));
    },
  );
}

test('D8: a kustomization that names one Pod gives that Pod', async () => {
  const [pod, ...more] = await build({ 'pod.yaml': POD, 'kustomization.yaml': 'resources:\n- pod.yaml\n' });
  assert.deepEqual(more, []);
  assert.deepEqual(pod?.metadata, { name: 'foo', namespace: 'awesomeapps' });
});

test('a patch that deletes removes the object, and one for nothing is an error', async () => {
  const files = {
    'pod.yaml': POD,
    'kustomization.yaml':
      'resources: [pod.yaml]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: Pod\n    metadata: {name: foo}\n    $patch: delete\n',
  };
  assert.deepEqual(await build(files), []);
  const stray = {
    ...files,
    'kustomization.yaml':
      'resources: [pod.yaml]\npatches:\n- patch: "{apiVersion: v1, kind: Pod, metadata: {name: bar}}"\n',
  };
  await assert.rejects(build(stray), {
    code: 'BAD_KUSTOMIZATION',
    message: /patch 1 of ".*": no object matches it/,
  });
});

test('a target that fits nothing is no error: a layer may be for several bases', async () => {
  const files = {
    'pod.yaml': POD,
    'kustomization.yaml': 'resources: [pod.yaml]\npatches:\n- target: {kind: Job}\n  patch: "[]"\n',
  };
  assert.equal((await build(files)).length, 1);
});

test('sortOptions leave objects in the order in which they were read', async () => {
  const order = async (options: string): Promise<string[]> =>
    (
      await build({
        'pod.yaml': POD,
        'kustomization.yaml': `resources: [pod.yaml]\nconfigMapGenerator: [{name: c}]\n${options}`,
      })
    ).map(({ kind }) => kind);
  assert.deepEqual(await order(''), ['ConfigMap', 'Pod']);
  assert.deepEqual(await order('sortOptions: {order: fifo}\n'), ['Pod', 'ConfigMap']);
});

const REPLACED: readonly (readonly [string, string, string | RegExp])[] = [
  [
    'a part of text',
    'fieldPaths: [spec.containers.0.image], options: {delimiter: ":", index: 1}',
    'janedoe/awesomeapp:foo',
  ],
  [
    'a part after the last',
    'fieldPaths: ["spec.containers.*.image"], options: {delimiter: ":", index: 9}',
    'janedoe/awesomeapp:v1:foo',
  ],
  [
    'a part before the first',
    'fieldPaths: ["spec.containers.[name=foo].image"], options: {delimiter: ":", index: -1}',
    'foo:janedoe/awesomeapp:v1',
  ],
  ['the whole', 'fieldPaths: [spec.containers.0.image]', 'foo'],
  [
    'a field that is not there',
    'fieldPaths: [spec.containers.0.imagee]',
    /Pod foo has no field "spec\.containers\.0\.imagee"/,
  ],
];
for (const [what, target, expected] of REPLACED) {
  test(`a replacement of ${what}: ${String(expected)}`, async () => {
    const files = {
      'pod.yaml': POD,
      'kustomization.yaml': `resources: [pod.yaml]\nreplacements: [{source: {kind: Pod}, targets: [{select: {kind: Pod}, ${target}}]}]\n`,
    };
    if (typeof expected !== 'string') {
      await assert.rejects(build(files), { code: 'BAD_KUSTOMIZATION', message: expected });
      return;
    }
    const [pod] = (await build(files)) as (KubeObject & { spec?: { containers: { image: string }[] } })[];
    assert.equal(pod?.spec?.containers[0]?.image, expected);
  });
}

const REFUSED: readonly (readonly [string, string, string, RegExp])[] = [
  ['an unknown field', 'vars: []\n', 'UNSUPPORTED', /field "vars" is not supported/],
  [
    'a source that is not there',
    'replacements: [{source: {kind: Pod}, targets: []}]\n',
    'BAD_KUSTOMIZATION',
    /replacement 1 of .*no object is the source/,
  ],
  [
    'a generator that merges into nothing',
    'configMapGenerator: [{name: c, behavior: merge}]\n',
    'BAD_KUSTOMIZATION',
    /there is nothing to merge/,
  ],
  [
    'two generators of one name',
    'configMapGenerator: [{name: c}, {name: c}]\n',
    'BAD_KUSTOMIZATION',
    /it is there already; behavior merge or replace changes it/,
  ],
  [
    'a behaviour that is none',
    'configMapGenerator: [{name: c, behavior: append}]\n',
    'BAD_KUSTOMIZATION',
    /"append" is none of create, merge, replace/,
  ],
  ['a remote resource', 'resources: ["https://example.com/x.yaml"]\n', 'UNSUPPORTED', /is remote/],
  ['a file that is missing', 'resources: [nowhere.yaml]\n', 'NO_SUCH_FILE', /nowhere\.yaml": ENOENT/],
  ['itself', 'resources: ["."]\n', 'BAD_KUSTOMIZATION', /without end/],
  ['text that is no mapping', '- a\n', 'BAD_KUSTOMIZATION', /holds no mapping/],
  ['a list that is none', 'resources: x\n', 'BAD_KUSTOMIZATION', /resources is not a list/],
  [
    'a literal without value',
    'secretGenerator: [{name: s, literals: [novalue]}]\n',
    'BAD_KUSTOMIZATION',
    /not written as KEY=VALUE/,
  ],
];

for (const [what, text, code, message] of REFUSED) {
  test(`a kustomization with ${what} is refused by name`, async () => {
    await assert.rejects(build({ 'kustomization.yaml': text }), { code, message });
  });
}

test('a directory without kustomization says which files it lacks', async () => {
  await assert.rejects(build({ 'x.yaml': POD }), {
    code: 'NOT_A_KUSTOMIZATION',
    message: /none of kustomization\.yaml/,
  });
});
