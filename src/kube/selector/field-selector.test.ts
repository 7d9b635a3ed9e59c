import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { KubeObject } from '../object.ts';
import { findKind, type ResourceInfo } from '../resources.ts';
import { parseFieldSelector } from './field-selector.ts';

function resource(apiVersion: string, kind: string): ResourceInfo {
  const found = findKind(apiVersion, kind);
  assert.ok(found !== undefined);
  return found;
}

const pods = resource('v1', 'Pod');
const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'a,b', namespace: 'demo' },
  spec: { nodeName: 'n1' },
  status: { phase: 'Running' },
} as KubeObject;

for (const [text, matches] of [
  ['', true],
  ['spec.nodeName=n1', true],
  ['spec.nodeName==n1,status.phase!=Failed', true],
  ['spec.nodeName=', false],
  ['metadata.name=a\\,b', true],
  ['spec.hostNetwork=false', true],
  ['status.podIP=', true],
  ['status.podIPs=10.0.0.1', false],
  ['spec.host=n1', true],
  ['spec.host!=n1', false],
] as const) {
  test(`${JSON.stringify(text)} ${matches ? 'selects' : 'leaves out'} the Pod`, () => {
    assert.equal(parseFieldSelector(text, pods).matches(pod), matches);
  });
}

test('a field that must equal a value is told', () => {
  const selector = parseFieldSelector('metadata.name=x,status.phase!=Failed', pods);
  assert.equal(selector.exact('metadata.name'), 'x');
  assert.equal(selector.exact('status.phase'), undefined);
});

for (const [text, kind, message] of [
  ['spec.foo=bar', pods, 'field label not supported: spec.foo'],
  ['abc', pods, "invalid selector: 'abc'; can't understand 'abc'"],
  [
    'spec.replicas=1',
    resource('apps/v1', 'Deployment'),
    '"spec.replicas" is not a known field selector: only "metadata.name", "metadata.namespace"',
  ],
] as const) {
  test(`${text} is refused for a ${kind.kind}`, () => {
    assert.throws(() => parseFieldSelector(text, kind), { message });
  });
}

test('events are selected by what they are about, in both groups', () => {
  const event = {
    kind: 'Event',
    metadata: { name: 'e' },
    involvedObject: { name: 'p' },
    source: { component: 'kubelet' },
  };
  const core = parseFieldSelector('involvedObject.name=p,source=kubelet', resource('v1', 'Event'));
  const newer = parseFieldSelector('regarding.name=p', resource('events.k8s.io/v1', 'Event'));
  assert.equal(core.matches(event as never), true);
  assert.equal(newer.matches(event as never), true);
});
