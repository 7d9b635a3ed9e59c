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

/** kustomize folds base64 and orders objects by kind; neither means anything. */
function comparable(objects: readonly KubeObject[]): object[] {
  const folded = objects.map(
    (object) =>
      JSON.parse(
        JSON.stringify(object, (key, value: unknown) =>
          key === '.dockerconfigjson' ? String(value).replaceAll('\n', '') : value,
        ),
      ) as KubeObject,
  );
  return folded.sort((a, b) => (`${a.kind} ${a.metadata.name}` < `${b.kind} ${b.metadata.name}` ? -1 : 1));
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

test('an overlay with generators, patches, labels and images is what kubectl kustomize recorded', async () => {
  const expected = parseManifests(await readFile(join(FIXTURES, 'expected.yaml'), 'utf8'));
  assert.deepEqual(comparable(await buildKustomization(join(FIXTURES, 'overlay'))), comparable(expected));
});

test(
  'the same overlay is what the kubectl of this machine builds',
  { skip: findKubectls().length === 0 ? 'needs kubectl, not installed on this machine' : false },
  async () => {
    const kubectl = findKubectls().at(-1) ?? '';
    const expected = parseManifests(
      execFileSync(kubectl, ['kustomize', join(FIXTURES, 'overlay')], { encoding: 'utf8' }),
    );
    assert.deepEqual(comparable(await buildKustomization(join(FIXTURES, 'overlay'))), comparable(expected));
  },
);

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
    'kustomization.yaml': 'resources: [pod.yaml]\npatches:\n- target: {kind: Job}\n  patch: "[]"\n',
  };
  await assert.rejects(build(stray), {
    code: 'BAD_KUSTOMIZATION',
    message: /patch 1 of ".*": no object matches it/,
  });
});

const REFUSED: readonly (readonly [string, string, string, RegExp])[] = [
  ['an unknown field', 'vars: []\n', 'UNSUPPORTED', /field "vars" is not supported/],
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
