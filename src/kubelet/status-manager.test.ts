import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodCondition, PodStatus } from '../kube/pod.ts';
import { statusPatch } from './status-manager.ts';

const condition = (
  type: string,
  status: 'True' | 'False',
  more: Partial<PodCondition> = {},
): PodCondition => ({
  type,
  status,
  lastProbeTime: null,
  lastTransitionTime: '2026-01-02T03:04:05Z',
  ...more,
});

test('only what changed is sent, with the UID that makes a successor of the same name refuse it', () => {
  const from: PodStatus = { phase: 'Pending', hostIP: '127.0.0.1', startTime: '2026-01-02T03:04:05Z' };
  const to: PodStatus = { ...from, phase: 'Running' };
  assert.deepEqual(statusPatch('u', from, to), { metadata: { uid: 'u' }, status: { phase: 'Running' } });
});

test('conditions of others stay, reasons that are over go, and the order is the kubelet’s', () => {
  const theirs = condition('example.com/gate', 'True');
  const from: PodStatus = {
    conditions: [
      condition('PodScheduled', 'True'),
      condition('Ready', 'False', { reason: 'ContainersNotReady', message: 'm' }),
      theirs,
    ],
  };
  const to: PodStatus = {
    // What somebody else has said meanwhile is not for us to say again.
    conditions: [
      condition('Ready', 'True'),
      condition('PodScheduled', 'True'),
      { ...theirs, status: 'False' },
    ],
  };
  const patch = statusPatch('u', from, to) as { status: Record<string, unknown> };
  assert.deepEqual(patch.status['conditions'], [
    { ...condition('Ready', 'True'), reason: null, message: null },
  ]);
  assert.deepEqual(patch.status['$setElementOrder/conditions'], [
    { type: 'Ready' },
    { type: 'PodScheduled' },
    { type: 'example.com/gate' },
  ]);
});

test('addresses are replaced, not joined', () => {
  const patch = statusPatch('u', { podIPs: [{ ip: '10.0.0.1' }] }, { podIPs: [{ ip: '10.0.0.2' }] });
  assert.deepEqual(patch, {
    metadata: { uid: 'u' },
    status: { podIPs: [{ $patch: 'replace' }, { ip: '10.0.0.2' }] },
  });
});
