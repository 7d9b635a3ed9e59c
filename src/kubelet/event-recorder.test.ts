import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import type { KubeObject } from '../kube/object.ts';
import { startTestApi } from '../../test/support/test-api.ts';
import { createEventRecorder, EVENTS, type QueuedEventRecorder } from './event-recorder.ts';

const POD = { apiVersion: 'v1', kind: 'Pod', namespace: 'default', name: 'p', uid: 'u' };
const PART = { ...POD, fieldPath: 'spec.containers{a}' };

async function withRecorder(
  use: (recorder: QueuedEventRecorder, clock: ManualClock, said: () => Promise<string[]>) => Promise<void>,
): Promise<void> {
  const api = await startTestApi();
  const clock = new ManualClock(Date.parse('2026-01-02T03:04:05Z'));
  const recorder = createEventRecorder({ client: api.client, component: 'kubelet', host: 'n1', clock });
  try {
    await use(recorder, clock, async () => {
      await recorder.flush();
      const { items } = await api.client.list<KubeObject & Record<string, unknown>>(
        EVENTS,
        {},
        AbortSignal.timeout(30_000),
      );
      return items.map(
        ({ reason, message, count }) => `${String(reason)} ${String(message)} x${String(count)}`,
      );
    });
  } finally {
    await recorder.close();
    await api.close();
  }
}

test('the same said again is one event with a count; of another part it is another event', async () => {
  await withRecorder(async (recorder, _clock, said) => {
    recorder.event(PART, 'Normal', 'Pulling', 'm');
    recorder.event(PART, 'Normal', 'Pulling', 'm');
    recorder.event({ ...POD, fieldPath: 'spec.containers{b}' }, 'Normal', 'Pulling', 'm');
    assert.deepEqual((await said()).toSorted(), ['Pulling m x1', 'Pulling m x2']);
  });
});

test('what is said too often is held back but counted, as recorded from a Pod that never got its image', async () => {
  await withRecorder(async (recorder, clock, said) => {
    for (let i = 0; i < 30; i++) recorder.event(PART, 'Warning', 'Failed', 'Error: ImagePullBackOff');
    assert.deepEqual(await said(), ['Failed Error: ImagePullBackOff x25']);
    // One more is let through every five minutes, and tells how often it really happened.
    await clock.advance(300_000);
    recorder.event(PART, 'Warning', 'Failed', 'Error: ImagePullBackOff');
    recorder.event(PART, 'Warning', 'Failed', 'Error: ImagePullBackOff');
    assert.deepEqual(await said(), ['Failed Error: ImagePullBackOff x31']);
  });
});

test('ten different messages of one kind within ten minutes share one event from the tenth on', async () => {
  await withRecorder(async (recorder, clock, said) => {
    for (let i = 1; i <= 12; i++) {
      recorder.event({ ...POD, fieldPath: `spec.containers{c${i}}` }, 'Normal', 'Pulled', `m${i}`);
    }
    const lines = await said();
    assert.equal(lines.length, 10);
    assert.ok(lines.includes('Pulled m9 x1'), lines.join());
    assert.ok(lines.includes('Pulled (combined from similar events): m12 x3'), lines.join());
    await clock.advance(600_001);
    recorder.event(POD, 'Normal', 'Pulled', 'm13');
    assert.ok((await said()).includes('Pulled m13 x1'));
  });
});
