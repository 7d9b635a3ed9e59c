import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MetricsCollection } from './metrics.ts';

test('a counter without labels is told before anything was counted', () => {
  const metrics = new MetricsCollection();
  const sent = metrics.counter('sent_bytes_total', 'Bytes sent.');
  assert.equal(
    metrics.text(),
    '# HELP sent_bytes_total Bytes sent.\n# TYPE sent_bytes_total counter\nsent_bytes_total 0\n',
  );
  sent.add(5);
  sent.add(7);
  assert.match(metrics.text(), /^sent_bytes_total 12$/m);
});

test('a counter with labels tells one number for each combination of their values', () => {
  const metrics = new MetricsCollection();
  const requests = metrics.counter('requests_total', 'Requests.', ['kind', 'status']);
  requests.add(1, 'tags', '200');
  requests.add(1, 'tags', '404');
  requests.add(2, 'tags', '200');
  const text = metrics.text();
  assert.match(text, /^requests_total\{kind="tags",status="200"\} 3$/m);
  assert.match(text, /^requests_total\{kind="tags",status="404"\} 1$/m);
});

test('a gauge goes down again', () => {
  const metrics = new MetricsCollection();
  const active = metrics.gauge('active', 'Active.');
  active.add(1);
  active.add(-1);
  assert.match(metrics.text(), /^# TYPE active gauge\nactive 0$/m);
});

test('the buckets of a histogram hold all that is not above their bound', () => {
  const metrics = new MetricsCollection();
  const seconds = metrics.histogram('seconds', 'Seconds.', [0.1, 1], 'kind');
  for (const value of [0.05, 0.1, 0.5, 9]) seconds.observe(value, 'tags');
  assert.deepEqual(metrics.text().split('\n').slice(2, -1), [
    'seconds_bucket{kind="tags",le="0.1"} 2',
    'seconds_bucket{kind="tags",le="1"} 3',
    'seconds_bucket{kind="tags",le="+Inf"} 4',
    'seconds_sum{kind="tags"} 9.65',
    'seconds_count{kind="tags"} 4',
  ]);
});

test('a histogram without a label is told before anything was observed', () => {
  const metrics = new MetricsCollection();
  const rate = metrics.histogram('rate', 'Rate.', [1]);
  const lines = (): string[] => metrics.text().split('\n').slice(2, -1);
  assert.deepEqual(lines(), [
    'rate_bucket{le="1"} 0',
    'rate_bucket{le="+Inf"} 0',
    'rate_sum 0',
    'rate_count 0',
  ]);
  rate.observe(2);
  assert.deepEqual(lines(), [
    'rate_bucket{le="1"} 0',
    'rate_bucket{le="+Inf"} 1',
    'rate_sum 2',
    'rate_count 1',
  ]);
});

test('metrics are told by name, one after another without a gap', () => {
  const metrics = new MetricsCollection();
  metrics.counter('b_total', 'B.');
  metrics.gauge('a', 'A.').set(2);
  assert.equal(
    metrics.text(),
    '# HELP a A.\n# TYPE a gauge\na 2\n# HELP b_total B.\n# TYPE b_total counter\nb_total 0\n',
  );
});

test('a label value cannot break out of its quotes', () => {
  const metrics = new MetricsCollection();
  metrics.counter('odd_total', 'Odd.', ['name']).add(1, 'a"b\\c');
  assert.match(metrics.text(), /^odd_total\{name="a\\"b\\\\c"\} 1$/m);
});
