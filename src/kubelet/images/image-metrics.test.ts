import { test } from 'node:test';
import assert from 'node:assert/strict';
import { openBench, podNamed, secretCandidate } from './_manager-fixture.ts';
import {
  IMAGE_METRICS,
  imageManagerMetrics,
  imageSizeLabel,
  recordStatistics,
  type MetricSink,
} from './image-metrics.ts';

const MIB = 1024 * 1024;

function sinkOf(lines: string[]): MetricSink {
  return {
    record: ({ name, labels }, values, value) => {
      assert.deepEqual(Object.keys(values), labels);
      lines.push(`${name} ${Object.values(values).join(',')} ${value}`);
    },
  };
}

test('14 sizes fall into the kubelet’s ranges, whose lower bound is outside', () => {
  const table: [number, string][] = [
    [0, 'N/A'],
    [1, '0-10MB'],
    [10 * MIB, '0-10MB'],
    [10 * MIB + 1, '10MB-100MB'],
    [100 * MIB, '10MB-100MB'],
    [500 * MIB, '100MB-500MB'],
    [1024 * MIB, '500MB-1GB'],
    [1024 * MIB + 1, '1GB-5GB'],
    [100 * 1024 * MIB, '60GB-100GB'],
    [100 * 1024 * MIB + 1, 'GT100GB'],
  ];
  for (const [bytes, label] of table) assert.equal(imageSizeLabel(bytes), label);
});

test('14 14.1 requests, checks and pulls are counted under the kubelet’s names and labels', async () => {
  const lines: string[] = [];
  const bench = await openBench({}, { metrics: imageManagerMetrics(sinkOf(lines)) });
  try {
    await bench.ensure(podNamed('p'), 'a:1', 'IfNotPresent');
    await bench.ensure(podNamed('q'), 'a:1', 'IfNotPresent');
    assert.deepEqual(lines, [
      'kubelet_image_manager_ensure_image_requests_total false,ifnotpresent,true 1',
      'kubelet_image_pull_duration_seconds 0-10MB 0',
      'kubelet_imagemanager_image_mustpull_checks_total credentialRecordFound 1',
      'kubelet_image_manager_ensure_image_requests_total true,ifnotpresent,false 1',
    ]);
    lines.length = 0;
    recordStatistics(sinkOf(lines), await bench.records.statistics());
    assert.deepEqual(lines, [
      'kubelet_imagemanager_ondisk_pullintents  0',
      'kubelet_imagemanager_ondisk_pulledrecords  1',
      'kubelet_imagemanager_inmemory_pullintents_usage_percent  0',
      'kubelet_imagemanager_inmemory_pulledrecords_usage_percent  0',
    ]);
  } finally {
    await bench.close();
  }
});

test('3.12 14.1 a check for which no credentials can be had is an error, and whether a pull is needed stays unknown', async () => {
  const bench = await openBench();
  try {
    bench.candidates = () => Promise.resolve([secretCandidate('s')]);
    await bench.ensure(podNamed('p'), 'a:1', 'IfNotPresent');
    bench.counted.length = 0;
    bench.candidates = () => Promise.reject(new Error('illegal base64 data at input byte 3'));
    assert.deepEqual(await bench.ensure(podNamed('q'), 'a:1', 'IfNotPresent'), {
      ok: false,
      reason: 'illegal base64 data at input byte 3',
      message: 'illegal base64 data at input byte 3',
    });
    assert.deepEqual(bench.counted, ['checked error', 'ensured IfNotPresent true unknown']);
  } finally {
    await bench.close();
  }
});

test('14 the pull histogram has the kubelet’s buckets', () => {
  assert.deepEqual(IMAGE_METRICS.pullDuration.buckets.slice(0, 6), [1, 5, 10, 20, 30, 60]);
  assert.equal(IMAGE_METRICS.pullDuration.buckets.length, 18);
});
