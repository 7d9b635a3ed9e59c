import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ObjectExplanation } from '../../src/doctor/explain-object.ts';
import { runDray } from '../support/run-dray.ts';

const PASSWORD = 'very-secret-password';
const MANIFESTS = `
apiVersion: v1
kind: Secret
metadata: {name: regcred}
type: kubernetes.io/dockerconfigjson
stringData:
  .dockerconfigjson: '{"auths":{"registry.example:10443":{"username":"u","password":"${PASSWORD}"},"quay.io":{"username":"u","password":"${PASSWORD}"}}}'
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: default}
imagePullSecrets: [{name: regcred}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      initContainers: [{name: first, image: busybox}]
      containers: [{name: app, image: 'registry.example:10443/team/app:v1'}]
`;

async function explain(
  input: string,
  ...args: string[]
): Promise<{ code: number | null; objects: ObjectExplanation[]; stdout: string; stderr: string }> {
  const outcome = await runDray(['explain', '-f', '-', '--no-node-files', '-o', 'json', ...args], { input });
  return {
    ...outcome,
    objects: outcome.stdout === '' ? [] : (JSON.parse(outcome.stdout) as ObjectExplanation[]),
  };
}

test('A3 B1 B2 D7: each image of a workload is explained with name, policy, decision and credentials', async () => {
  const { code, objects, stdout } = await explain(MANIFESTS);
  assert.equal(code, 0);
  const [web] = objects;
  assert.equal(web?.kind, 'Deployment');
  assert.deepEqual(web?.imagePullSecrets, ['regcred']);
  const [first, app] = web?.images ?? [];
  assert.deepEqual(
    [first?.field, first?.reference.valid && first.reference.normalized, first?.policy.value],
    ['spec.template.spec.initContainers[0]', 'docker.io/library/busybox:latest', 'Always'],
  );
  assert.deepEqual(
    [app?.policy.value, app?.candidates],
    ['IfNotPresent', [{ source: 'Secret default/regcred', key: 'registry.example:10443' }]],
  );
  assert.deepEqual(
    app?.decisions.map((each) => [each.when, each.outcome]),
    [
      ['absent', 'pull'],
      ['present, preloaded', 'use'],
      ['present, pulled by this node for another credential', 'pull'],
    ],
  );
  assert.ok(
    app?.decisions[2]?.trace.some((step) => /no credential of the Pod is recorded: pull/.test(step.says)),
  );
  assert.ok(app?.credentialTrace.some((step) => /key "quay.io" does not match/.test(step.says)));
  assert.ok(!stdout.includes(PASSWORD));
});

test('D4: a stricter verification policy changes the decision for preloaded images', async () => {
  const { objects } = await explain(
    MANIFESTS,
    '--image-pull-credentials-verification-policy',
    'AlwaysVerify',
  );
  assert.equal(
    objects[0]?.images[1]?.decisions.find((each) => each.when === 'present, preloaded')?.outcome,
    'pull',
  );
});

test('B7: with AlwaysPullImages every image becomes Always', async () => {
  const { objects } = await explain(MANIFESTS, '--enable-admission-plugins', 'AlwaysPullImages');
  assert.deepEqual(
    objects[0]?.images.map((image) => image.policy.value),
    ['Always', 'Always'],
  );
});

test('D6: a pull secret that is missing is a problem, named, with exit code 1', async () => {
  const { code, objects } = await explain(
    'apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {imagePullSecrets: [{name: gone}], containers: [{name: a, image: "x:1"}]}\n',
  );
  assert.equal(code, 1);
  assert.deepEqual(objects[0]?.images[0]?.problems, [
    'Unable to retrieve some image pull secrets (gone); attempting to pull the image may not succeed.',
  ]);
});

test('an image name that is none is said to be so, with exit code 1', async () => {
  const outcome = await runDray(['explain', '--no-node-files', 'registry.example/App:v1']);
  assert.equal(outcome.code, 1);
  assert.match(outcome.stdout, /must be lowercase/);
});

test('a name alone is explained for people, with the numbers of the rules', async () => {
  const outcome = await runDray(['explain', '--no-node-files', 'nginx']);
  assert.equal(outcome.code, 0);
  assert.match(outcome.stdout, /docker\.io\/library\/nginx:latest {2}\[1\.10\]/);
  assert.match(outcome.stdout, /none matches: one anonymous pull {2}\[3\.19\]/);
});

test('D8: a directory with a kustomization is built first', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'drayage-explain-'));
  try {
    await writeFile(
      join(directory, 'pod.yaml'),
      'apiVersion: v1\nkind: Pod\nmetadata: {name: foo}\nspec: {containers: [{name: foo, image: "janedoe/awesomeapp:v1"}]}\n',
    );
    await writeFile(
      join(directory, 'kustomization.yaml'),
      'resources: [pod.yaml]\nnamePrefix: dev-\nimages: [{name: janedoe/awesomeapp, newTag: v2}]\n',
    );
    const outcome = await runDray(['explain', '--no-node-files', '-o', 'json', '-f', directory]);
    const [object] = JSON.parse(outcome.stdout) as ObjectExplanation[];
    assert.deepEqual([object?.name, object?.images[0]?.image], ['dev-foo', 'janedoe/awesomeapp:v2']);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('manifests that cannot be read are named with place and reason', async () => {
  const broken = await explain('kind: Pod\n  bad: [');
  assert.equal(broken.code, 1);
  assert.match(broken.stderr, /^dray: Cannot use standard input: yaml: line/);
  const missing = await runDray(['explain', '-f', '/no/such/file.yaml']);
  assert.match(missing.stderr, /Cannot read "\/no\/such\/file.yaml": there is no such file/);
  const nothing = await explain('apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n');
  assert.equal(nothing.code, 2);
});
