import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ManualClock } from '../../base/manual-clock.ts';
import type { Pod } from '../../kube/pod.ts';
import { silentLogger, type Logger } from '../../observe/logger.ts';
import { FILE_CHECK_MS, StaticPodFiles } from './static-pod-files.ts';
import { StaticPods } from './static-pods.ts';

const START = Date.parse('2026-01-02T03:04:05Z');

async function directory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'drayage-static-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

function filesAt(path: string): { files: StaticPodFiles; clock: ManualClock; errors: string[] } {
  const clock = new ManualClock(START);
  const errors: string[] = [];
  const logger: Logger = {
    ...silentLogger,
    error: (fields) => errors.push(String((fields as { error: unknown }).error)),
  };
  return { files: new StaticPodFiles({ path, nodeName: 'node-1', clock, logger }), clock, errors };
}

const WEB = `apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: {app: web}
spec:
  containers:
  - name: a
    image: registry.example/web
`;

test('a file becomes a Pod of the node: named for it, bound to it, defaulted, with the kubelet’s annotations', async (t) => {
  const path = await directory(t);
  await writeFile(join(path, 'web.yaml'), WEB);
  const [pod] = await filesAt(path).files.read();
  assert.equal(pod?.metadata.name, 'web-node-1');
  assert.equal(pod.metadata.namespace, 'default');
  assert.deepEqual(pod.metadata.labels, { app: 'web' });
  const uid = pod.metadata.uid ?? '';
  assert.match(uid, /^[0-9a-f]{32}$/);
  assert.deepEqual(pod.metadata.annotations, {
    'kubernetes.io/config.hash': uid,
    'kubernetes.io/config.seen': '2026-01-02T03:04:05.000Z',
    'kubernetes.io/config.source': 'file',
  });
  assert.equal(pod.spec.nodeName, 'node-1');
  assert.deepEqual(pod.spec.tolerations, [{ operator: 'Exists', effect: 'NoExecute' }]);
  assert.equal(pod.spec.restartPolicy, 'Always');
  // Rule 2.2 holds for files too.
  assert.equal(pod.spec.containers[0]?.imagePullPolicy, 'Always');
  assert.equal(pod.status?.qosClass, 'BestEffort');
});

test('the same file is the same Pod after a restart; another text, or another file, is another Pod', async (t) => {
  const path = await directory(t);
  const file = join(path, 'web.yaml');
  await writeFile(file, WEB);
  const uid = async (): Promise<string | undefined> => (await filesAt(path).files.read())[0]?.metadata.uid;
  const first = await uid();
  assert.equal(await uid(), first);
  await writeFile(file, WEB.replace('registry.example/web', 'registry.example/web:2'));
  const second = await uid();
  assert.notEqual(second, first);
  await rename(file, join(path, 'other.yaml'));
  assert.notEqual(await uid(), second);
});

test('JSON, YAML, a single file and a path that is not there yet are all read; hidden files and directories are not', async (t) => {
  const path = await directory(t);
  const json = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'j' },
    spec: { containers: [{ name: 'a', image: 'i' }] },
  };
  await writeFile(join(path, 'j.json'), JSON.stringify(json));
  await writeFile(join(path, 'web.yaml'), WEB);
  await writeFile(join(path, '.hidden.yaml'), WEB.replace('name: web', 'name: hidden'));
  await mkdir(join(path, 'folder'));
  const names = async (at: string): Promise<string[]> =>
    (await filesAt(at).files.read()).map(({ metadata }) => metadata.name);
  assert.deepEqual(await names(path), ['j-node-1', 'web-node-1']);
  assert.deepEqual(await names(join(path, 'j.json')), ['j-node-1']);
  assert.deepEqual(await names(join(path, 'absent')), []);
});

const BAD: readonly (readonly [string, string, RegExp])[] = [
  ['no YAML', 'a: [', /Cannot use ".*bad\.yaml": /],
  [
    'another kind',
    'apiVersion: v1\nkind: Service\nmetadata: {name: s}',
    /Service in version \\?"v1\\?" cannot be handled as a Pod/,
  ],
  [
    'a Pod without containers',
    'apiVersion: v1\nkind: Pod\nmetadata: {name: s}\nspec: {}',
    /invalid pod: \[.*spec\.containers: Required value/,
  ],
  ['a pull secret', `${WEB}  imagePullSecrets: [{name: s}]\n`, /static pods may not reference secrets/],
  ['a service account', `${WEB}  serviceAccountName: s\n`, /static pods may not reference serviceaccounts/],
  [
    'a secret in the environment',
    `${WEB}    envFrom: [{secretRef: {name: s}}]\n`,
    /static pods may not reference secrets/,
  ],
  [
    'a config map in the environment',
    `${WEB}    envFrom: [{configMapRef: {name: s}}]\n`,
    /static pods may not reference configmaps/,
  ],
  [
    'a config map as a volume',
    `${WEB}  volumes: [{name: v, configMap: {name: s}}]\n`,
    /static pods may not reference configmaps/,
  ],
  [
    'a claim',
    `${WEB}  volumes: [{name: v, persistentVolumeClaim: {claimName: s}}]\n`,
    /static pods may not reference persistentvolumeclaims/,
  ],
];
for (const [name, text, expected] of BAD) {
  test(`a file that cannot be used is told once and left out: ${name}`, async (t) => {
    const path = await directory(t);
    await writeFile(join(path, 'bad.yaml'), text);
    await writeFile(join(path, 'web.yaml'), WEB);
    const { files, errors } = filesAt(path);
    for (let n = 0; n < 2; n++) {
      assert.deepEqual(
        (await files.read()).map(({ metadata }) => metadata.name),
        ['web-node-1'],
      );
    }
    assert.equal(errors.length, 1);
    assert.match(errors[0] ?? '', expected);
  });
}

test('two files of one Pod: the first in order counts, and the other is told', async (t) => {
  const path = await directory(t);
  await writeFile(join(path, '1.yaml'), WEB);
  await writeFile(join(path, '2.yaml'), WEB.replace('example/web', 'example/other'));
  const { files, errors } = filesAt(path);
  assert.deepEqual(
    (await files.read()).map(({ spec }) => spec.containers[0]?.image),
    ['registry.example/web'],
  );
  assert.match(errors[0] ?? '', /2\.yaml": there is a Pod default\/web-node-1 already/);
});

test('files are read again when one changes, and every twenty seconds; what did not change was first seen when it was', async (t) => {
  const path = await directory(t);
  await writeFile(join(path, 'web.yaml'), WEB);
  const { files, clock } = filesAt(path);
  const before = (await files.read())[0];
  const ending = new AbortController();
  const seen: (readonly Pod[])[] = [];
  const told = Promise.withResolvers<void>();
  const running = files.run((pods) => {
    seen.push(pods);
    told.resolve();
  }, ending.signal);
  t.after(async () => {
    ending.abort();
    await running;
  });
  await clock.advance(FILE_CHECK_MS);
  await told.promise;
  assert.deepEqual(seen[0]?.[0], before);
});

test('a Pod whose file changed begins once the old one has gone; a removed one only goes', () => {
  const log: string[] = [];
  const workers = new Set<string>();
  const pods = new StaticPods(
    {
      has: (uid) => workers.has(uid),
      add: ({ metadata }) => {
        workers.add(metadata.uid ?? '');
        log.push(`add ${metadata.uid}`);
      },
      remove: (uid) => log.push(`remove ${uid}`),
    },
    () => undefined,
  );
  const goes = (uid: string): void => {
    workers.delete(uid);
    pods.gone(uid);
  };
  const of = (uid: string): Pod => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', uid },
    spec: { containers: [] },
  });
  pods.set([of('1')]);
  pods.set([of('2')]);
  // Changed again before the first has ended: the second never begins.
  pods.set([of('3')]);
  assert.deepEqual(log, ['add 1', 'remove 1', 'remove 1']);
  goes('1');
  pods.set([]);
  assert.ok(pods.has('default/web'));
  goes('3');
  assert.deepEqual(log.slice(3), ['add 3', 'remove 3']);
  assert.ok(!pods.has('default/web'));
});
