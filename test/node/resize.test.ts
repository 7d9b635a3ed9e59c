import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import type { Container, Pod } from '../../src/kube/pod.ts';
import { chooseLauncher } from '../../src/runtime/choose-launcher.ts';
import { makeRoot, removeRoot } from '../support/running-system.ts';
import { NODE, withNodeSystem, type NodeSystem } from './node-system.ts';
import { PODS } from '../../src/kubelet/status-manager.ts';

const FOREVER = ['/bin/sh', '-c', 'trap "exit 0" TERM; sleep 1000000 & wait'];

const skip = await (async (): Promise<string | false> => {
  const root = makeRoot();
  try {
    await chooseLauncher({ root, only: 'runc' }, AbortSignal.timeout(30_000));
    return false;
  } catch (error) {
    return error instanceof Error ? error.message : 'runc cannot be used';
  } finally {
    removeRoot(root);
  }
})();

function container(cpu: string, memory: string, more: Partial<Container> = {}): Container {
  const resources = { requests: { cpu, memory }, limits: { cpu: '1', memory } };
  return { name: 'a', image: 'registry.example/tiny:1', command: FOREVER, resources, ...more };
}

async function resize(system: NodeSystem, name: string, cpu: string, memory: string): Promise<void> {
  const { resources } = container(cpu, memory);
  const spec = { containers: [{ name: 'a', resources }] };
  const target = { namespace: 'default', name };
  const options = { subresource: 'resize' };
  await system.client.patch(PODS, target, { spec }, 'strategic', system.signal, options);
}

const first = (pod: Pod | undefined) => pod?.status?.containerStatuses?.[0];
const memoryOf = (pod: Pod | undefined) => first(pod)?.resources?.limits?.['memory'];
const condition = (pod: Pod | undefined, wanted: string) =>
  pod?.status?.conditions?.find(({ type }) => type === wanted);

async function resizeEvents(system: NodeSystem, name: string): Promise<string[]> {
  return (await system.events(name)).map(({ line }) => line).filter((line) => line.includes(' Resize'));
}

/** The memory limit that the kernel keeps for a container. */
async function limitOf(pod: Pod | undefined): Promise<number> {
  const id = first(pod)?.containerID?.replace('drayage://', '') ?? '';
  const group = `drayage/pod${pod?.metadata.uid ?? ''}/${id}`;
  for (const file of [`memory/${group}/memory.limit_in_bytes`, `${group}/memory.max`]) {
    const text = await readFile(`/sys/fs/cgroup/${file}`, 'utf8').catch(() => undefined);
    if (text !== undefined) return Number(text.trim());
  }
  throw new Error(`no memory limit for ${group}`);
}

const MI = 1024 * 1024;
const running = (pod: Pod | undefined): boolean => first(pod)?.state?.running !== undefined;

test(
  'a container that runs gets more and less memory without a new start, and its Pod tells so',
  { skip },
  async () => {
    await withNodeSystem({}, async (system) => {
      await system.createPod('p', { nodeName: NODE, containers: [container('10m', '64Mi')] });
      const before = await system.until('p', 'running', running);
      assert.equal(await limitOf(before), 64 * MI);
      assert.deepEqual(first(before)?.allocatedResources, { cpu: '10m', memory: '64Mi' });
      await resize(system, 'p', '20m', '96Mi');
      const after = await system.until('p', 'resized', (pod) => memoryOf(pod) === '96Mi');
      assert.equal(await limitOf(after), 96 * MI);
      assert.equal(first(after)?.containerID, first(before)?.containerID);
      assert.equal(first(after)?.restartCount, 0);
      assert.deepEqual(first(after)?.allocatedResources, { cpu: '20m', memory: '96Mi' });
      await system.until('p', 'settled', (pod) => condition(pod, 'PodResizeInProgress') === undefined);
      const wanted =
        '{"containers":[{"name":"a","resources":{"limits":{"cpu":"1","memory":"96Mi"},"requests":{"cpu":"20m","memory":"96Mi"}}}],"generation":2}';
      assert.deepEqual(await resizeEvents(system, 'p'), [
        `Normal ResizeStarted Pod resize started: ${wanted}`,
        `Normal ResizeCompleted Pod resize completed: ${wanted}`,
      ]);
      await resize(system, 'p', '10m', '48Mi');
      const less = await system.until('p', 'smaller', (pod) => memoryOf(pod) === '48Mi');
      assert.equal(await limitOf(less), 48 * MI);
    });
  },
);

test(
  'a container that asks to be started anew for more memory is, and for more processor is not',
  { skip },
  async () => {
    await withNodeSystem({}, async (system) => {
      const resizePolicy = [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }];
      await system.createPod('p', {
        nodeName: NODE,
        terminationGracePeriodSeconds: 1,
        containers: [container('10m', '64Mi', { resizePolicy })],
      });
      const before = await system.until('p', 'running', running);
      await resize(system, 'p', '20m', '64Mi');
      const same = await system.until(
        'p',
        'resized',
        (pod) => first(pod)?.resources?.requests?.['cpu'] === '20m',
      );
      assert.equal(first(same)?.containerID, first(before)?.containerID);
      await resize(system, 'p', '20m', '96Mi');
      const after = await system.until('p', 'resized', (pod) => memoryOf(pod) === '96Mi' && running(pod));
      assert.notEqual(first(after)?.containerID, first(before)?.containerID);
      assert.equal(first(after)?.restartCount, 1);
      assert.equal(await limitOf(after), 96 * MI);
      const lines = (await system.events('p')).map(({ line }) => line);
      assert.ok(lines.includes('Normal Killing Container a resize requires restart'), lines.join('\n'));
    });
  },
);

test(
  'what the node has not is pending and says why; what was promised stays, also for the next agent, and comes when there is room',
  { skip },
  async () => {
    await withNodeSystem({}, async (system) => {
      const cpus = availableParallelism();
      const half = `${cpus * 500}m`;
      await system.createPod('big', { nodeName: NODE, containers: [cpuOnly(half)] });
      await system.createPod('p', { nodeName: NODE, containers: [cpuOnly('10m')] });
      for (const name of ['big', 'p']) await system.until(name, 'running', running);
      const ask = async (cpu: string): Promise<void> => {
        const spec = { containers: [{ name: 'a', resources: { requests: { cpu } } }] };
        const target = { namespace: 'default', name: 'p' };
        await system.client.patch(PODS, target, { spec }, 'strategic', system.signal, {
          subresource: 'resize',
        });
      };
      const pending = (reason: string) => (pod: Pod | undefined) =>
        condition(pod, 'PodResizePending')?.reason === reason;

      await ask(String(cpus + 1));
      const never = await system.until('p', 'refused', pending('Infeasible'));
      assert.equal(
        condition(never, 'PodResizePending')?.message,
        `Node didn't have enough capacity: cpu, requested: ${(cpus + 1) * 1000}, capacity: ${cpus * 1000}`,
      );
      assert.equal(never?.status?.conditions?.[0]?.type, 'PodResizePending');
      assert.equal(first(never)?.allocatedResources?.['cpu'], '10m');

      await ask(`${cpus * 500 + 100}m`);
      const later = await system.until('p', 'deferred', pending('Deferred'));
      const message = `Node didn't have enough resource: cpu, requested: ${cpus * 500 + 100}, used: ${cpus * 500}, capacity: ${cpus * 1000}`;
      assert.equal(condition(later, 'PodResizePending')?.message, message);
      assert.deepEqual(first(later)?.resources?.requests, { cpu: '10m' });
      const events = await resizeEvents(system, 'p');
      assert.match(
        events[0] ?? '',
        /^Warning ResizeInfeasible Pod resize Infeasible: \{.*"generation":2,"error":"Node didn't/,
      );
      assert.match(
        events[1] ?? '',
        /^Warning ResizeDeferred Pod resize OutOfcpu: \{.*"generation":3,"error":"Node didn't/,
      );

      await system.stopKubelet();
      await system.startKubelet();
      await system.client.delete(PODS, { namespace: 'default', name: 'big' }, system.signal, {
        gracePeriodSeconds: 0,
      });
      await system.until('big', 'gone', (pod) => pod === undefined);
      const granted = await system.until(
        'p',
        'granted',
        (pod) =>
          condition(pod, 'PodResizePending') === undefined &&
          condition(pod, 'PodResizeInProgress') === undefined,
      );
      assert.equal(first(granted)?.allocatedResources?.['cpu'], `${cpus * 500 + 100}m`);
      assert.equal(first(granted)?.restartCount, 0);
    });
  },
);

function cpuOnly(cpu: string): Container {
  return { name: 'a', image: 'registry.example/tiny:1', command: FOREVER, resources: { requests: { cpu } } };
}

test('where nothing is limited a resize says so and claims nothing', async () => {
  await withNodeSystem({ launcher: 'unshare' }, async (system) => {
    await system.createPod('p', { nodeName: NODE, containers: [container('10m', '64Mi')] });
    const before = await system.until('p', 'running', running);
    await resize(system, 'p', '10m', '96Mi');
    const after = await system.until(
      'p',
      'told',
      (pod) => condition(pod, 'PodResizeInProgress')?.reason === 'Error',
    );
    assert.equal(
      condition(after, 'PodResizeInProgress')?.message,
      'resources of containers are not limited on this node',
    );
    assert.equal(memoryOf(after), '64Mi');
    assert.equal(first(after)?.containerID, first(before)?.containerID);
    assert.ok((await resizeEvents(system, 'p'))[1]?.startsWith('Warning ResizeError Pod resize error: {'));
  });
});
