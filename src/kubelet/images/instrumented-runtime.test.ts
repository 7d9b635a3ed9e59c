import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ManualClock } from '../../base/manual-clock.ts';
import { CopyRootfs, oneImage } from '../../runtime/_tiny-root.ts';
import { hasSessions } from '../../runtime/container-session.ts';
import { createLocalRuntime } from '../../runtime/local-runtime.ts';
import { instrumentedRuntime } from './instrumented-runtime.ts';
import { NodeMetrics } from './node-metrics.ts';

const signal = AbortSignal.timeout(60_000);

test('14 calls to a runtime are counted by the kubelet’s names, failures too, and it offers what it did before', async () => {
  const root = await mkdtemp(join(tmpdir(), 'drayage-measured-'));
  const rootfs = new CopyRootfs(root, join(root, 'rootfs'));
  const local = await createLocalRuntime(
    { root: join(root, 'runtime'), rootfs, images: oneImage({}) },
    signal,
  );
  try {
    const metrics = new NodeMetrics();
    const runtime = instrumentedRuntime(local, metrics, new ManualClock(0));
    assert.equal((await runtime.version(signal)).runtimeName, 'drayage');
    assert.deepEqual(await runtime.listPodSandboxes(signal), []);
    await assert.rejects(runtime.execSync('gone', ['x'], 0, signal), { code: 'NOT_FOUND' });
    assert.ok(hasSessions(runtime));
    await runtime.syncContainerLog('gone');
    const lines = (await metrics.text()).split('\n');
    for (const line of [
      'kubelet_runtime_operations_total{operation_type="version"} 1',
      'kubelet_runtime_operations_total{operation_type="list_podsandbox"} 1',
      'kubelet_runtime_operations_errors_total{operation_type="exec_sync"} 1',
    ])
      assert.ok(lines.includes(line), line);
  } finally {
    await local.close();
    await rm(root, { recursive: true, force: true });
  }
});
