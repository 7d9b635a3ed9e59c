import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../../src/kube/pod.ts';
import { NodeMetrics } from '../../src/kubelet/images/node-metrics.ts';
import {
  describe,
  OCI_MANIFEST,
  serveRegistry,
  sha256,
  type ServedRegistry,
} from '../support/serve-registry.ts';
import { tarOf } from '../support/tar-of.ts';
import { NODE, withNodeSystem, type NodeSystem } from './node-system.ts';
import { pushTinyImage, tinyLayer } from './real-image.ts';

const layer = await tinyLayer();
const file = (path: string, content: string) => ({ path, content: Buffer.from(content) });

/** Pushes an image of files, one layer for each list of them. */
async function pushFiles(
  registry: ServedRegistry,
  repository: string,
  layers: readonly Readonly<Record<string, string>>[],
): Promise<void> {
  const tars = layers.map((files) =>
    tarOf(
      { path: 'd/', mode: 0o755 },
      ...Object.entries(files).map(([path, content]) => file(path, content)),
    ),
  );
  const config = JSON.stringify({
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: tars.map((tar) => sha256(tar)) },
  });
  for (const blob of [config, ...tars]) await registry.pushBlob(repository, blob);
  await registry.pushManifest(repository, '1', {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: describe(config, 'application/vnd.oci.image.config.v1+json'),
    layers: tars.map((tar) => ({
      mediaType: 'application/vnd.oci.image.layer.v1.tar',
      digest: sha256(tar),
      size: tar.length,
    })),
  });
}

const stateOf = (pod: Pod | undefined, index = 0) => pod?.status?.containerStatuses?.[index]?.state;

async function said(system: NodeSystem, name: string, of: string | undefined): Promise<string[]> {
  const events = await system.events(name);
  return events
    .filter(({ fieldPath, line }) => fieldPath === of && !line.includes(' Scheduled '))
    .map(({ line }) => line.replace(/ in \S+ \(\S+ including.*/, ''));
}

test('3.37 a part of an image is mounted by its subPath, whichever layers it comes from, beside the whole; it cannot be written', async (t) => {
  const registry = await serveRegistry(t);
  await pushTinyImage(registry, layer, 'tiny', '1');
  await pushFiles(registry, 'data', [{ 'd/one': 'one\n', other: 'other\n' }, { 'd/two': 'two\n' }]);
  const metrics = new NodeMetrics();
  await withNodeSystem({ realImages: true, metrics }, async (system) => {
    const script =
      'cat /part/one /part/two /whole/other /file; touch /part/x 2>/dev/null || echo read-only; cat /part/other 2>/dev/null || echo a part';
    await system.createPod('p', {
      nodeName: NODE,
      restartPolicy: 'Never',
      volumes: [{ name: 'v', image: { reference: `${registry.host}/data:1` } }],
      containers: [
        {
          name: 'a',
          image: `${registry.host}/tiny:1`,
          command: ['/bin/sh', '-c', script],
          volumeMounts: [
            { name: 'v', mountPath: '/part', subPath: 'd' },
            { name: 'v', mountPath: '/whole' },
            { name: 'v', mountPath: '/file', subPath: 'd/two' },
          ],
        },
      ],
    });
    await system.until('p', 'done', (pod) => stateOf(pod)?.terminated !== undefined);
    assert.equal((await system.logs('p')).text, 'one\ntwo\nother\ntwo\nread-only\na part\n');
    const text = await metrics.text();
    assert.match(text, /^kubelet_image_volume_requested_total 1$/m);
    assert.match(text, /^kubelet_image_volume_mounted_succeed_total 3$/m);
  });
});

test('3.38 a subPath that the image does not have fails the container, not the Pod', async (t) => {
  const registry = await serveRegistry(t);
  await pushTinyImage(registry, layer, 'tiny', '1');
  await pushFiles(registry, 'data', [{ 'd/one': 'one\n' }]);
  const metrics = new NodeMetrics();
  await withNodeSystem({ realImages: true, metrics }, async (system) => {
    const image = `${registry.host}/tiny:1`;
    await system.createPod('p', {
      nodeName: NODE,
      volumes: [{ name: 'v', image: { reference: `${registry.host}/data:1` } }],
      containers: [
        { name: 'a', image, volumeMounts: [{ name: 'v', mountPath: '/part', subPath: 'nowhere' }] },
        { name: 'b', image },
      ],
    });
    const pod = await system.until(
      'p',
      'half started',
      (now) =>
        stateOf(now)?.waiting?.reason === 'CreateContainerError' && stateOf(now, 1)?.running !== undefined,
    );
    assert.match(stateOf(pod)?.waiting?.message ?? '', /"nowhere"/);
    assert.match(await metrics.text(), /^kubelet_image_volume_mounted_errors_total [1-9]/m);
  });
});

test('3.37 3.38 each mount of an image that cannot be had is told of the container, before its own image is thought of; the last one is why it waits', async (t) => {
  const registry = await serveRegistry(t);
  await pushTinyImage(registry, layer, 'tiny', '1');
  const { host } = registry;
  const metrics = new NodeMetrics();
  await withNodeSystem({ realImages: true, metrics }, async (system) => {
    await system.createPod('p', {
      nodeName: NODE,
      volumes: [
        { name: 'absent', image: { reference: `${host}/absent:1` } },
        { name: 'never', image: { reference: `${host}/never:1`, pullPolicy: 'Never' } },
        { name: 'bad', image: { reference: 'no name' } },
      ],
      containers: [
        {
          name: 'a',
          image: `${host}/tiny:1`,
          volumeMounts: [
            { name: 'absent', mountPath: '/absent' },
            { name: 'never', mountPath: '/never' },
          ],
        },
        { name: 'b', image: `${host}/tiny:1` },
      ],
    });
    const pod = await system.until(
      'p',
      'half started',
      (now) =>
        stateOf(now)?.waiting?.reason === 'ErrImageNeverPull' && stateOf(now, 1)?.running !== undefined,
    );
    const neverPull = `Container image "${host}/never:1" is not present with pull policy of Never`;
    assert.equal(stateOf(pod)?.waiting?.message, neverPull);
    const ofPod = await said(system, 'p', undefined);
    assert.deepEqual(ofPod.slice(0, 4), [
      `Normal Pulling Pulling image "${host}/absent:1"`,
      `Warning Failed Failed to pull image "${host}/absent:1": rpc error: code = NotFound desc = failed to pull and unpack image "${host}/absent:1": failed to resolve reference "${host}/absent:1": ${host}/absent:1: not found`,
      `Warning ErrImageNeverPull ${neverPull}`,
      `Warning InspectFailed Failed to apply default image tag "no name": couldn't parse image name "no name": invalid reference format`,
    ]);
    const ofContainer = await said(system, 'p', 'spec.containers{a}');
    assert.deepEqual(ofContainer.slice(0, 2), [
      'Warning Failed Error: ErrImagePull',
      'Warning Failed Error: ErrImageNeverPull',
    ]);
    assert.ok(
      ofContainer.every((line) => line.startsWith('Warning Failed Error: ')),
      'its own image was thought of',
    );
    assert.ok((await said(system, 'p', 'spec.containers{b}')).includes('Normal Started Container started'));
    // As with a kubelet, only what a container could have mounted counts.
    assert.doesNotMatch(await metrics.text(), /^kubelet_image_volume_requested_total [1-9]/m);
    assert.doesNotMatch(await metrics.text(), /^kubelet_started_containers_errors_total\{.*[1-9]/m);
  });
});
