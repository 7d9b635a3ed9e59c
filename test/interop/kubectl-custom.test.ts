import assert from 'node:assert/strict';
import { basename, dirname } from 'node:path';
import { test } from 'node:test';
import { startControllers } from '../../src/controllers/start-controllers.ts';
import { Kubectl } from '../support/kubectl.ts';
import { findKubectls } from '../support/tools.ts';
import { startTestApi, type TestApi } from '../support/test-api.ts';

/* Kinds of the user's own, by every kubectl there is on this machine. */

const kubectls = findKubectls();
const skip = kubectls.length === 0 ? 'needs kubectl, not installed on this machine' : false;

const DEFINITION = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, singular: crontab, kind: CronTab, shortNames: [ct]}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            description: What the table asks for.
            required: [image]
            properties:
              cronSpec: {type: string, description: When to run., default: '* * * * *'}
              image: {type: string}
              replicas: {type: integer, minimum: 1, maximum: 10}
    additionalPrinterColumns:
    - {name: Spec, type: string, jsonPath: .spec.cronSpec}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas}
`;
const object = (fields: string): string =>
  `apiVersion: stable.example.com/v1\nkind: CronTab\nmetadata: {name: mine}\nspec: {${fields}}\n`;

async function withKubectl(
  binary: string,
  work: (kubectl: Kubectl, api: TestApi) => Promise<void>,
): Promise<void> {
  const api = await startTestApi();
  const stop = new AbortController();
  startControllers(api.client, { rootCa: api.pki.ca.cert }, stop.signal);
  try {
    await work(new Kubectl(binary, api), api);
  } finally {
    stop.abort();
    await api.close();
  }
}

for (const binary of kubectls.length === 0 ? ['kubectl'] : kubectls) {
  const label = `${basename(dirname(binary))}/${basename(binary)}`;

  test(`${label}: a kind of one's own from definition to deletion`, { skip }, async () => {
    await withKubectl(binary, async (kubectl) => {
      await kubectl.run(['create', 'ns', 'team']);
      assert.equal(
        await kubectl.run(['apply', '-f', '-'], DEFINITION),
        'customresourcedefinition.apiextensions.k8s.io/crontabs.stable.example.com created\n',
      );
      await kubectl.run(['wait', '--for=condition=Established', 'crd/crontabs.stable.example.com']);
      assert.equal(
        await kubectl.run(['apply', '-n', 'team', '-f', '-'], object('image: a, replicas: 2')),
        'crontab.stable.example.com/mine created\n',
      );
      const rows = await kubectl.run(['get', 'ct', '-n', 'team']);
      assert.match(rows, /^NAME +SPEC +REPLICAS\nmine +\* \* \* \* \* +2\n$/);
      assert.equal(
        await kubectl.run(['apply', '-n', 'team', '-f', '-'], object('image: a, replicas: 3')),
        'crontab.stable.example.com/mine configured\n',
      );
      assert.match(await kubectl.run(['explain', 'crontab.spec']), /cronSpec\s+<string>\s+When to run\./);
      const refused = await kubectl.try(['apply', '-n', 'team', '-f', '-'], object('image: a, replicas: 30'));
      assert.match(
        refused.stderr,
        /The CronTab "mine" is invalid: spec\.replicas: Invalid value: 30: spec\.replicas in body should be less than or equal to 10/,
      );
      const unknown = await kubectl.try(['apply', '-n', 'team', '-f', '-'], object('image: a, replica: 3'));
      assert.match(unknown.stderr, /unknown field "(?:spec\.)?replica"/);
      await kubectl.run(['delete', 'ns', 'team']);
      assert.match((await kubectl.try(['get', 'ct', '-A'])).stderr, /No resources found/);
      await kubectl.run(['delete', 'crd', 'crontabs.stable.example.com']);
      assert.match(
        (await kubectl.try(['get', 'crontabs'])).stderr,
        /the server (?:doesn't have a resource type "crontabs"|could not find the requested resource)/,
      );
    });
  });

  test(`${label}: an object of a kind that nobody defined`, { skip }, async () => {
    await withKubectl(binary, async (kubectl) => {
      const { code, stderr } = await kubectl.try(
        ['apply', '-f', '-'],
        'apiVersion: v1\nkind: Podd\nmetadata: {name: x}\n',
      );
      assert.equal(code, 1);
      assert.match(stderr, /no matches for kind "Podd" in version "v1"/);
    });
  });
}
