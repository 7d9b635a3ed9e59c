import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IMAGE_METRICS } from './image-metrics.ts';
import { NodeMetrics } from './node-metrics.ts';
import { OWN_METRICS, RUNTIME_METRICS } from './pull-metrics.ts';

async function linesOf(metrics: NodeMetrics, name: string): Promise<string[]> {
  return (await metrics.text())
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
}

test('14.2 14.3 14.4 14.6 what may be counted is told as 0 before it is, so that its first rise can be seen', async () => {
  const metrics = new NodeMetrics();
  assert.doesNotMatch(
    await metrics.text(),
    /drayage_|containerd_/,
    'a node that pulls elsewhere tells nothing',
  );
  assert.ok(metrics.pulls);
  const told = (await metrics.text()).split('\n').filter((line) => line.startsWith('drayage_'));
  assert.deepEqual(told, [
    'drayage_pull_avoided_requests_total{reason="held"} 0',
    'drayage_pull_avoided_requests_total{reason="shared"} 0',
    'drayage_pull_avoided_requests_total{reason="joined"} 0',
    'drayage_pull_avoided_requests_total{reason="present"} 0',
    'drayage_pull_fetched_bytes_total{kind="manifest"} 0',
    'drayage_pull_fetched_bytes_total{kind="blob"} 0',
    'drayage_pull_saved_bytes_total{reason="held"} 0',
    'drayage_pull_saved_bytes_total{reason="shared"} 0',
    'drayage_pull_saved_bytes_total{reason="joined"} 0',
    'drayage_pull_saved_bytes_total{reason="resumed"} 0',
    'drayage_pulls_in_progress 0',
    'drayage_pulls_total{result="pulled"} 0',
    'drayage_pulls_total{result="joined"} 0',
    'drayage_pulls_total{result="failed"} 0',
  ]);
});

test('14.2 pulls under way are told while they are, and failures by their code', async () => {
  const metrics = new NodeMetrics();
  metrics.pulls.pullBegan();
  metrics.pulls.pullBegan();
  assert.deepEqual(await linesOf(metrics, 'drayage_pulls_in_progress'), ['drayage_pulls_in_progress 2']);
  metrics.pulls.pullEnded({ result: 'failed', code: 'RATE_LIMITED' });
  metrics.pulls.pullEnded({ result: 'joined' });
  assert.deepEqual(await linesOf(metrics, 'drayage_pulls_in_progress'), ['drayage_pulls_in_progress 0']);
  assert.deepEqual(await linesOf(metrics, 'drayage_pull_failures_total'), [
    'drayage_pull_failures_total{code="RATE_LIMITED"} 1',
  ]);
});

test('14.4 requests are told by their status, of which a registry cannot invent more', async () => {
  const metrics = new NodeMetrics();
  for (const status of [200, 429, 299, 799, undefined])
    metrics.pulls.requested({ purpose: 'blob', ...(status === undefined ? {} : { status }) });
  assert.deepEqual(await linesOf(metrics, 'drayage_pull_requests_total'), [
    'drayage_pull_requests_total{code="200",kind="blob"} 1',
    'drayage_pull_requests_total{code="429",kind="blob"} 1',
    'drayage_pull_requests_total{code="other",kind="blob"} 2',
    'drayage_pull_requests_total{code="none",kind="blob"} 1',
  ]);
});

test('14.4 a Pod that may use a present image spares a request, whatever its policy; one that may not spares none', async () => {
  const metrics = new NodeMetrics();
  metrics.imageManager.imageEnsured('IfNotPresent', 'true', 'false');
  metrics.imageManager.imageEnsured('Never', 'true', 'false');
  metrics.imageManager.imageEnsured('IfNotPresent', 'true', 'true');
  metrics.imageManager.imageEnsured('Never', 'false', 'unknown');
  const present = 'drayage_pull_avoided_requests_total{reason="present"} 2';
  assert.ok((await linesOf(metrics, 'drayage_pull_avoided_requests_total')).includes(present));
  assert.equal((await linesOf(metrics, 'kubelet_image_manager_ensure_image_requests_total')).length, 4);
});

test('14.5 phases of pulls and of layers are apart', async () => {
  const metrics = new NodeMetrics();
  metrics.pulls.took('pull', 'resolve', 0.2);
  metrics.pulls.took('layer', 'verify', 400);
  assert.ok(
    (await linesOf(metrics, 'drayage_pull_phase_duration_seconds_sum')).includes(
      'drayage_pull_phase_duration_seconds_sum{phase="resolve"} 0.2',
    ),
  );
  assert.deepEqual((await linesOf(metrics, 'drayage_pull_layer_phase_duration_seconds_bucket')).slice(-2), [
    'drayage_pull_layer_phase_duration_seconds_bucket{phase="verify",le="600"} 1',
    'drayage_pull_layer_phase_duration_seconds_bucket{phase="verify",le="+Inf"} 1',
  ]);
});

test('14.7 containerd’s metrics tell the same pulls: how they ended, and how fast those were that fetched something', async () => {
  const metrics = new NodeMetrics();
  assert.ok(metrics.pulls);
  const unused = 'containerd_cri_sandboxed_image_pulling_throughput_mibps_count';
  assert.deepEqual(await linesOf(metrics, unused), [`${unused} 0`]);
  for (let each = 0; each < 4; each++) metrics.pulls.pullBegan();
  metrics.pulls.pullEnded({ result: 'pulled', fetchedBytes: 40 * 1024 * 1024, seconds: 2 });
  metrics.pulls.pullEnded({ result: 'pulled', fetchedBytes: 0, seconds: 0.01 });
  metrics.pulls.pullEnded({ result: 'failed', code: 'NOT_FOUND' });
  const lines = (await metrics.text()).split('\n');
  for (const line of [
    'containerd_cri_sandboxed_image_pulls_total{status="success"} 2',
    'containerd_cri_sandboxed_image_pulls_total{status="failure"} 1',
    '# TYPE containerd_cri_sandboxed_in_progress_image_pulls_total gauge',
    'containerd_cri_sandboxed_in_progress_image_pulls_total 1',
    'containerd_cri_sandboxed_image_pulling_throughput_mibps_bucket{le="10"} 0',
    'containerd_cri_sandboxed_image_pulling_throughput_mibps_bucket{le="25"} 1',
    'containerd_cri_sandboxed_image_pulling_throughput_mibps_sum 20',
    'containerd_cri_sandboxed_image_pulling_throughput_mibps_count 1',
    'containerd_cri_sandboxed_image_pulling_throughput_bucket{le="10"} 0',
    'containerd_cri_sandboxed_image_pulling_throughput_bucket{le="+Inf"} 1',
  ])
    assert.ok(lines.includes(line), `${line} is in\n${lines.join('\n')}`);
});

test('14.6 names and labels keep Prometheus’ conventions, and labels stand in the order in which they are printed', () => {
  for (const { name, type, labels, help } of [
    ...Object.values(OWN_METRICS),
    ...Object.values(IMAGE_METRICS),
    ...Object.values(RUNTIME_METRICS),
  ]) {
    assert.match(name, /^(kubelet|drayage|containerd_cri_sandboxed)_[a-z_]+$/);
    assert.deepEqual([...labels], [...labels].toSorted(), name);
    assert.match(help, name.startsWith('kubelet_') ? /^\[ALPHA\] [A-Z].*\.$/ : /^[A-Z].*\.$/);
    if (!name.startsWith('drayage_')) continue;
    assert.equal(name.endsWith('_total'), type === 'counter', name);
    assert.equal(name.endsWith('_seconds'), type === 'histogram', name);
  }
});
