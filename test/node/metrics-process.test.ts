import assert from 'node:assert/strict';
import { request } from 'node:https';
import { test } from 'node:test';
import { HttpKubeClient } from '../../src/kube/client/http-kube-client.ts';
import { createInformer } from '../../src/kube/client/informer.ts';
import { loadKubeconfig, type ClientConfig } from '../../src/kube/client/kubeconfig.ts';
import { kubeletBaseUrl } from '../../src/kube/client/kubelet-endpoint.ts';
import type { Node } from '../../src/kube/node.ts';
import type { Pod } from '../../src/kube/pod.ts';
import { findKind, type ResourceInfo } from '../../src/kube/resources.ts';
import { makeRoot, removeRoot, startUp } from '../support/running-system.ts';
import { serveRegistry } from '../support/serve-registry.ts';
import { pushTinyImage, tinyLayer } from './real-image.ts';

const LIMIT_MS = 90_000;

/** Names of section 14 with their types: those without labels, which always have a value, and those that this test makes count. */
const ANNOUNCED = {
  kubelet_image_pull_duration_seconds: 'histogram',
  kubelet_image_manager_ensure_image_requests_total: 'counter',
  kubelet_imagemanager_image_mustpull_checks_total: 'counter',
  kubelet_imagemanager_ondisk_pullintents: 'gauge',
  kubelet_imagemanager_ondisk_pulledrecords: 'gauge',
  kubelet_imagemanager_inmemory_pullintents_usage_percent: 'gauge',
  kubelet_imagemanager_inmemory_pulledrecords_usage_percent: 'gauge',
  kubelet_runtime_operations_total: 'counter',
  kubelet_runtime_operations_errors_total: 'counter',
  kubelet_runtime_operations_duration_seconds: 'histogram',
  kubelet_started_containers_errors_total: 'counter',
  kubelet_image_volume_requested_total: 'counter',
  kubelet_image_volume_mounted_succeed_total: 'counter',
  kubelet_image_volume_mounted_errors_total: 'counter',
} as const;

test('14 14.1 14.3 14.4 14.5 a running node tells its pulls under the kubelet’s names and its own, as the registry saw them', async (t) => {
  const registry = await serveRegistry(t);
  const layer = await tinyLayer();
  const pushed = [
    await pushTinyImage(registry, layer, 'app', '1'),
    await pushTinyImage(registry, layer, 'app', '2'),
  ] as const;
  const seenBefore = await (await registry.send('GET', '/metrics')).text();
  const root = makeRoot();
  const ending = new AbortController();
  const signal = AbortSignal.any([ending.signal, AbortSignal.timeout(LIMIT_MS)]);
  const system = await startUp(root);
  const config = await loadKubeconfig(system.kubeconfig);
  const client = new HttpKubeClient(config);
  try {
    const pods = createInformer<Pod>(client, kindOf('Pod'), { namespace: 'default' }, signal);
    const nodes = createInformer<Node>(client, kindOf('Node'), {}, signal);
    const until = async <T>(find: () => T | undefined): Promise<T> => {
      for (;;) {
        signal.throwIfAborted();
        const found = find();
        if (found !== undefined) return found;
        await new Promise<void>((resolve) => setTimeout(resolve, 50));
      }
    };
    const absent = `${registry.host}/absent:1`;
    const present = `${registry.host}/app:1`;
    const run = async (name: string, image: string, imagePullPolicy: string): Promise<void> => {
      const spec = { restartPolicy: 'Never', containers: [{ name: 'a', image, imagePullPolicy }] };
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default' }, spec };
      await client.create(kindOf('Pod'), pod, signal);
    };
    await run('pulled', present, 'IfNotPresent');
    await until(() => pods.get('default', 'pulled')?.status?.containerStatuses?.[0]?.imageID || undefined);
    await run('held', present, 'IfNotPresent');
    await run('sharing', `${registry.host}/app:2`, 'IfNotPresent');
    await run('absent', absent, 'Always');
    await run('never', absent, 'Never');
    for (const name of ['held', 'sharing'])
      await until(() => pods.get('default', name)?.status?.containerStatuses?.[0]?.imageID || undefined);
    for (const name of ['absent', 'never'])
      await until(
        () => /ErrImage|BackOff/.exec(waitingReason(pods.get('default', name)) ?? '')?.[0] ?? undefined,
      );

    const base = await until(() => nodes.values().map(kubeletBaseUrl).find(Boolean));
    const health = await get(`${base}/healthz`, config);
    assert.deepEqual([health.status, health.text], [200, 'ok']);
    const { text, type } = await get(`${base}/metrics`, config);
    assert.match(type, /^text\/plain; version=0\.0\.4/);
    for (const [name, kind] of Object.entries(ANNOUNCED))
      assert.ok(text.includes(`# TYPE ${name} ${kind}\n`), `${name} is announced as ${kind}`);
    const value = (line: string): number => valueIn(text, line);
    const ensured = (policy: string, here: string, pull: string): number =>
      value(
        `kubelet_image_manager_ensure_image_requests_total{present_locally="${here}",pull_policy="${policy}",pull_required="${pull}"}`,
      );
    assert.equal(ensured('ifnotpresent', 'false', 'true'), 2);
    assert.equal(ensured('ifnotpresent', 'true', 'false'), 1);
    assert.ok(ensured('always', 'unknown', 'true') >= 1);
    assert.ok(ensured('never', 'false', 'unknown') >= 1);
    assert.equal(value('kubelet_image_pull_duration_seconds_count{image_size_in_bytes="0-10MB"}'), 2);
    assert.equal(
      value('kubelet_image_pull_duration_seconds_bucket{image_size_in_bytes="0-10MB",le="3600"}'),
      2,
    );
    assert.equal(
      value('kubelet_imagemanager_image_mustpull_checks_total{result="credentialRecordFound"}'),
      1,
    );
    assert.equal(value('kubelet_imagemanager_ondisk_pulledrecords'), 2);
    assert.equal(value('kubelet_imagemanager_ondisk_pullintents'), 0);
    assert.ok(value('kubelet_runtime_operations_total{operation_type="pull_image"}') >= 2);
    assert.ok(value('kubelet_runtime_operations_errors_total{operation_type="pull_image"}') >= 1);
    assert.ok(value('kubelet_runtime_operations_total{operation_type="image_status"}') >= 3);
    assert.ok(
      value('kubelet_started_containers_errors_total{code="ErrImagePull",container_type="container"}') >= 1,
    );
    assert.ok(
      value('kubelet_started_containers_errors_total{code="ErrImageNeverPull",container_type="container"}') >=
        1,
    );

    // What two images with one layer took, by the node's count and by the registry's.
    assert.equal(value('drayage_pulls_total{result="pulled"}'), 2);
    assert.equal(value('drayage_pulls_in_progress'), 0);
    assert.ok(value('drayage_pull_failures_total{code="NOT_FOUND"}') >= 1);
    const seen = await (await registry.send('GET', '/metrics')).text();
    for (const [kind, asked, requests] of [
      ['manifest', 'getManifest', 4],
      ['blob', 'getBlob', 3],
    ] as const) {
      assert.equal(value(`drayage_pull_requests_total{code="200",kind="${kind}"}`), requests);
      assert.equal(valueIn(seen, `drayage_registry_requests_total{kind="${asked}",status="200"}`), requests);
    }
    const manifests = value('drayage_pull_fetched_bytes_total{kind="manifest"}');
    assert.equal(manifests, pushed[0].size + pushed[1].size);
    const sent = 'drayage_registry_sent_bytes_total';
    assert.equal(
      manifests + value('drayage_pull_fetched_bytes_total{kind="blob"}'),
      valueIn(seen, sent) - valueIn(seenBefore, sent) - Buffer.byteLength(seenBefore),
      'the registry has sent what the node fetched, and its own metrics once',
    );
    assert.equal(value('drayage_pull_saved_bytes_total{reason="held"}'), layer.length);
    assert.equal(value('drayage_pull_avoided_requests_total{reason="held"}'), 1);
    assert.equal(value('drayage_pull_avoided_requests_total{reason="present"}'), 1);
    assert.equal(value('drayage_pull_phase_duration_seconds_count{phase="commit"}'), 2);
    assert.equal(value('drayage_pull_layer_phase_duration_seconds_count{phase="download"}'), 1);

    const page = JSON.parse((await get(`${base}/pulls`, config)).text) as {
      pulling: unknown[];
      ended: { image: string; pod: string; error?: string }[];
    };
    assert.deepEqual(page.pulling, []);
    assert.ok(page.ended.some(({ image, error }) => image === present && error === undefined));
    assert.ok(page.ended.some(({ image, error }) => image === absent && error?.includes('not found')));
    const stranger = await get(`${base}/metrics`, {
      server: config.server,
      ...(config.ca && { ca: config.ca }),
    });
    assert.equal(stranger.status, 401, 'only the cluster’s administrator may look');
  } finally {
    ending.abort();
    await client.close();
    await system.stop();
    removeRoot(root);
  }
});

function valueIn(text: string, line: string): number {
  const found = text.split('\n').find((each) => each.startsWith(`${line} `));
  assert.ok(found !== undefined, `${line} is told`);
  return Number(found.slice(line.length + 1));
}

function waitingReason(pod: Pod | undefined): string | undefined {
  return pod?.status?.containerStatuses?.[0]?.state?.waiting?.reason;
}

function kindOf(kind: string): ResourceInfo {
  const found = findKind('v1', kind);
  assert.ok(found !== undefined);
  return found;
}

function get(
  url: string,
  { ca, cert, key }: ClientConfig,
): Promise<{ status: number; type: string; text: string }> {
  return new Promise((resolve, reject) => {
    request(url, { ca, cert, key, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          type: String(response.headers['content-type']),
          text,
        }),
      );
    })
      .on('error', reject)
      .end();
  });
}
