import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../src/base/manual-clock.ts';
import type { Container, Pod } from '../../src/kube/pod.ts';
import { withNodeSystem, type NodeSystem } from './node-system.ts';

/* What a kubelet says of containers that fail in the middle of their lives, and what it does not say too early. */

const IMAGE = 'registry.example/tiny:1';
const FOREVER = ['/bin/sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.05; done'];
const container = (more: Partial<Container>): Container => ({
  name: 'a',
  image: IMAGE,
  command: FOREVER,
  ...more,
});
const first = (pod: Pod | undefined) => pod?.status?.containerStatuses?.[0];

async function lines(system: NodeSystem, name: string): Promise<string[]> {
  return (await system.events(name)).map(({ line }) => line.replace(/exec "[0-9a-f]{64}"/, 'exec "ID"'));
}

async function untilSaid(system: NodeSystem, name: string, words: string): Promise<string> {
  for (;;) {
    const found = (await lines(system, name)).find((line) => line.includes(words));
    if (found !== undefined) return found;
    system.signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

const NOT_THERE =
  'failed to exec in container: failed to start exec "ID": OCI runtime exec failed: exec failed: ' +
  'unable to start container process: exec: "/nosuch": stat /nosuch: no such file or directory';

for (const launcher of ['runc', 'unshare'] as const) {
  const options = { skip: launcher === 'runc' && process.getuid?.() !== 0 ? 'needs root' : false };
  test(`a probe whose program is missing errs and decides nothing, under ${launcher}`, options, async () => {
    await withNodeSystem({ launcher }, async (system) => {
      await system.createPod('p', {
        containers: [container({ livenessProbe: { exec: { command: ['/nosuch'] }, periodSeconds: 1 } })],
      });
      assert.equal(
        await untilSaid(system, 'p', 'probe errored'),
        `Warning Unhealthy Liveness probe errored and resulted in unknown state: rpc error: code = Unknown desc = ${NOT_THERE}`,
      );
      assert.equal(first(await system.pod('p'))?.restartCount, 0);
    });
  });
}

test('a postStart hook that fails is told in the waiting message, and not in events', async () => {
  await withNodeSystem({}, async (system) => {
    const command = ['/bin/sh', '-c', 'echo out; echo err >&2; exit 4'];
    await system.createPod('p', {
      containers: [container({ lifecycle: { postStart: { exec: { command } } } })],
    });
    const pod = await system.until(
      'p',
      'PostStartHookError',
      (pod) => first(pod)?.state?.waiting?.reason === 'PostStartHookError',
    );
    const words = '/bin/sh -c echo out; echo err >&2; exit 4';
    assert.equal(
      first(pod)?.state?.waiting?.message,
      `Exec lifecycle hook ([${words}]) for Container "a" in Pod "p_default(${pod?.metadata.uid ?? ''})" failed - ` +
        `error: command '${words}' exited with 4: err\n, message: "out\\nerr\\n"`,
    );
    const said = await lines(system, 'p');
    assert.ok(said.includes('Warning FailedPostStartHook PostStartHook failed'));
    assert.ok(said.includes('Normal Killing FailedPostStartHook'));
  });
});

test('a probe that takes too long has failed', async () => {
  await withNodeSystem({}, async (system) => {
    const command = ['/bin/sh', '-c', 'sleep 60'];
    await system.createPod('p', { containers: [container({ readinessProbe: { exec: { command } } })] });
    assert.equal(
      await untilSaid(system, 'p', 'Readiness probe failed'),
      'Warning Unhealthy Readiness probe failed: command timed out: "/bin/sh -c sleep 60" timed out after 1s',
    );
  });
});

test('a container that is killed for its probe starts again at once, the second time too, and waits from then on', async () => {
  await withNodeSystem({}, async (system) => {
    const command = ['/bin/sh', '-c', 'exit 1'];
    await system.createPod('p', {
      containers: [
        container({ livenessProbe: { exec: { command }, periodSeconds: 1, failureThreshold: 1 } }),
      ],
    });
    const pod = await system.until(
      'p',
      'CrashLoopBackOff',
      (pod) => first(pod)?.state?.waiting?.reason === 'CrashLoopBackOff',
    );
    assert.equal(first(pod)?.restartCount, 2);
    assert.match(first(pod)?.state?.waiting?.message ?? '', /^back-off 10s restarting failed container=a/);
  });
});

test('a Pod is not told to have ended while something of it may run', async () => {
  await withNodeSystem({}, async (system) => {
    await system.createPod('p', {
      restartPolicy: 'Never',
      initContainers: [container({ name: 'side', restartPolicy: 'Always' })],
      containers: [container({ command: ['/bin/sh', '-c', 'sleep 0.2'] })],
    });
    await system.until('p', 'Succeeded', (pod) => pod?.status?.phase === 'Succeeded');
    for (const { status } of system.statuses('p')) {
      const ended = status?.phase === 'Succeeded';
      const running = status?.initContainerStatuses?.some(({ state }) => state?.running !== undefined);
      assert.ok(!ended || running !== true, JSON.stringify(status));
      const sandbox = status?.conditions?.find(({ type }) => type === 'PodReadyToStartContainers');
      if (ended) assert.equal(sandbox?.status, 'False');
    }
  });
});

test('a volume that cannot be set up is tried again after half a second, doubling', async () => {
  const clock = new ManualClock(Date.now());
  await withNodeSystem({ clock }, async (system) => {
    await system.createPod('p', {
      volumes: [{ name: 'v', secret: { secretName: 'gone' } }],
      containers: [container({ volumeMounts: [{ name: 'v', mountPath: '/v' }] })],
    });
    const message = 'MountVolume.SetUp failed for volume "v" : secret "gone" not found';
    const count = async (): Promise<number> =>
      (await system.events('p')).find(({ line }) => line === `Warning FailedMount ${message}`)?.count ?? 0;
    for (const [times, pause] of [500, 1000, 2000, 4000].entries()) {
      while ((await count()) < times + 1) await new Promise((resolve) => setTimeout(resolve, 20));
      await clock.advance(pause - 1);
      assert.equal(await count(), times + 1);
      await clock.advance(1);
    }
  });
});
