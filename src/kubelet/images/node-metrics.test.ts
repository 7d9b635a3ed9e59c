import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/manual-clock.ts';
import { instrumentedImageService } from './instrumented-image-service.ts';
import { MemoryRuntime } from './_manager-fixture.ts';
import { NodeMetrics } from './node-metrics.ts';

const signal = new AbortController().signal;

test('14 calls to the runtime are counted and timed by operation, failures too', async () => {
  const metrics = new NodeMetrics();
  const clock = new ManualClock(0);
  const runtime = new MemoryRuntime();
  const service = instrumentedImageService(runtime, metrics, clock);
  runtime.onPull = async () => {
    await clock.advance(3000);
    throw new Error('refused');
  };
  await assert.rejects(service.pullImage({ image: 'x:1' }, undefined, signal), /^Error: refused$/);
  await service.imageStatus({ image: 'x:1' }, signal);
  await service.listImages(undefined, signal);
  const text = await metrics.text();
  for (const line of [
    'kubelet_runtime_operations_total{operation_type="pull_image"} 1',
    'kubelet_runtime_operations_errors_total{operation_type="pull_image"} 1',
    'kubelet_runtime_operations_duration_seconds_sum{operation_type="pull_image"} 3',
    'kubelet_runtime_operations_total{operation_type="image_status"} 1',
    'kubelet_runtime_operations_total{operation_type="list_images"} 1',
  ])
    assert.ok(text.split('\n').includes(line), `${line} is in\n${text}`);
  assert.doesNotMatch(text, /errors_total\{operation_type="image_status"\}/);
});

test('14 evictions, collected images, plug-ins and records have the kubelet’s names', async () => {
  const metrics = new NodeMetrics();
  metrics.podEvicted('imagefs.available');
  metrics.imageCollected('age');
  metrics.imageCollected('age');
  metrics.providerExecuted('ecr', 0.2, true);
  metrics.providersConfigured('abc');
  let records = 4;
  metrics.watchRecords(() => Promise.resolve({ intents: 1, records, usage: { intents: 2, records: 3 } }));
  await metrics.text();
  records = 5;
  const lines = (await metrics.text()).split('\n');
  for (const line of [
    'kubelet_evictions{eviction_signal="imagefs.available"} 1',
    'kubelet_image_garbage_collected_total{reason="age"} 2',
    'kubelet_credential_provider_plugin_errors_total{plugin_name="ecr"} 1',
    'kubelet_credential_provider_plugin_duration_count{plugin_name="ecr"} 1',
    'kubelet_credential_provider_config_info{hash="abc"} 1',
    'kubelet_imagemanager_ondisk_pulledrecords 5',
    'kubelet_imagemanager_inmemory_pullintents_usage_percent 2',
  ])
    assert.ok(lines.includes(line), line);
});

test('14 14.6 containers that do not start, by reasons of which there is an end, and image volumes have the kubelet’s names', async () => {
  const metrics = new NodeMetrics();
  metrics.containerNotStarted('app', 'ErrImagePull');
  metrics.containerNotStarted('init', 'ErrImagePull');
  metrics.containerNotStarted('app', 'illegal base64 data at input byte 3');
  metrics.containerNotStarted('app', 'illegal base64 data at input byte 4');
  metrics.imageVolumesRequested(1);
  metrics.imageVolumeMounted(true);
  metrics.imageVolumeMounted(false);
  const lines = (await metrics.text()).split('\n');
  for (const line of [
    'kubelet_started_containers_errors_total{code="ErrImagePull",container_type="container"} 1',
    'kubelet_started_containers_errors_total{code="ErrImagePull",container_type="init_container"} 1',
    'kubelet_started_containers_errors_total{code="Unknown",container_type="container"} 2',
    'kubelet_image_volume_requested_total 1',
    'kubelet_image_volume_mounted_succeed_total 1',
    'kubelet_image_volume_mounted_errors_total 1',
  ])
    assert.ok(lines.includes(line), `${line} is in\n${lines.join('\n')}`);
});
