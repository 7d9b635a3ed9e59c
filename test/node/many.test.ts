import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../../src/kube/pod.ts';
import { OCI_INDEX, serveRegistry } from '../support/serve-registry.ts';
import { tarOf } from '../support/tar-of.ts';
import { NODE, withNodeSystem } from './node-system.ts';
import { basicFront, foreignProgram, pushTinyImage, tinyLayer } from './real-image.ts';

const LOGIN = { user: 'u', password: 'p' };
const MANY = 200;

test(
  'one image for two hundred Pods at once is fetched once, and each Pod says little',
  { timeout: 200_000 },
  async (t) => {
    const registry = await serveRegistry(t);
    const requests: string[] = [];
    const host = await basicFront(t, registry, LOGIN, (request) => requests.push(request));
    await pushTinyImage(registry, await tinyLayer(), 'many', '1', { cmd: ['/bin/true'] });
    await withNodeSystem({ realImages: true, maxPods: MANY }, async (system) => {
      const auths = { [host]: { username: LOGIN.user, password: LOGIN.password } };
      await system.create({
        kind: 'Secret',
        metadata: { name: 'reg' },
        type: 'kubernetes.io/dockerconfigjson',
        stringData: { '.dockerconfigjson': JSON.stringify({ auths }) },
      } as never);
      const names = Array.from({ length: MANY }, (_, index) => `p${index}`);
      await Promise.all(
        names.map((name) =>
          system.createPod(name, {
            nodeName: NODE,
            restartPolicy: 'Never',
            automountServiceAccountToken: false,
            imagePullSecrets: [{ name: 'reg' }],
            containers: [{ name: 'a', image: `${host}/many:1`, imagePullPolicy: 'IfNotPresent' }],
          }),
        ),
      );
      for (const name of names) {
        await system.until(name, 'succeeded', (pod) => pod?.status?.phase === 'Succeeded');
      }
      const blobs = requests.filter((request) => request.startsWith('GET ') && request.includes('/blobs/'));
      assert.deepEqual(blobs, [...new Set(blobs)], 'a blob was fetched twice');
      assert.equal(blobs.length, 2);
      const reasons = new Map<string, number>();
      for (const name of names) {
        for (const { line, count } of await system.events(name)) {
          const reason = line.split(' ')[1] ?? '';
          reasons.set(reason, (reasons.get(reason) ?? 0) + count);
        }
        const writes = new Set(system.statuses(name).map(({ metadata }) => metadata.resourceVersion)).size;
        assert.ok(writes <= 6, `the status of ${name} was written ${writes} times`);
      }
      for (const reason of ['Pulled', 'Created', 'Started']) assert.equal(reasons.get(reason), MANY, reason);
      assert.ok((reasons.get('Pulling') ?? 0) <= MANY);
      assert.deepEqual([...reasons.keys()].toSorted(), ['Created', 'Pulled', 'Pulling', 'Started']);
      assert.deepEqual(system.warnings, []);
    });
  },
);

test('C1 two nodes of different platforms pull different images of one index; a program of another processor cannot start', async (t) => {
  const registry = await serveRegistry(t);
  const layer = await tinyLayer();
  const own = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const other = own === 'arm64' ? 'amd64' : 'arm64';
  const foreign = tarOf({ path: 'bin/', mode: 0o755 }, await foreignProgram());
  const natives = await pushTinyImage(registry, layer, 'both', 'own', { architecture: own });
  const others = await pushTinyImage(registry, foreign, 'both', 'other', {
    architecture: other,
    cmd: ['/bin/foreign'],
  });
  await registry.pushManifest('both', '1', {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [
      { ...natives, platform: { os: 'linux', architecture: own } },
      { ...others, platform: { os: 'linux', architecture: other } },
    ],
  });
  await withNodeSystem({ realImages: true }, async (system) => {
    const second = await system.addNode({ os: 'linux', architecture: other });
    const image = `${registry.host}/both:1`;
    const containers = [{ name: 'a', image }];
    await system.createPod('here', { nodeSelector: { 'kubernetes.io/arch': own }, containers });
    await system.createPod('there', {
      nodeSelector: { 'kubernetes.io/arch': other },
      restartPolicy: 'Never',
      containers,
    });
    const here = await system.until('here', 'running', (pod) => pod?.status?.phase === 'Running');
    const there = await system.until('there', 'failed', (pod) => pod?.status?.phase === 'Failed');
    assert.equal(here?.spec.nodeName, NODE);
    assert.equal(there?.spec.nodeName, second.name);
    const end = (pod: Pod | undefined) => pod?.status?.containerStatuses?.[0]?.state?.terminated;
    // The container has begun by the time that the kernel refuses the program, so that the refusal is in its log.
    assert.equal(end(there)?.reason, 'Error');
    assert.equal((await system.logs('there')).text, 'exec /bin/foreign: exec format error\n');
    const ids = await Promise.all(
      [system.stores(), second.stores].map(async (stores) => {
        const images = await stores.imageService.listImages(undefined, system.signal);
        return images.map(({ id }) => id);
      }),
    );
    assert.equal(ids[0]?.length, 1);
    assert.equal(ids[1]?.length, 1);
    assert.notDeepEqual(ids[0], ids[1]);
    assert.equal((await system.logs('here')).status, 200);
  });
});
