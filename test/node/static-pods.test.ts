import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { Pod } from '../../src/kube/pod.ts';
import { PODS } from '../../src/kubelet/status-manager.ts';
import { NODE, withNodeSystem } from './node-system.ts';

/* Static Pods of a whole agent: what runs, what the API shows of it, what deleting and changing do. */

async function directory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'drayage-static-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

const manifest = (says: string): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'own' },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: 'a',
          image: 'registry.example/tiny:1',
          command: ['/bin/sh', '-c', `echo ${says}; trap "exit 0" TERM; while :; do sleep 0.05; done`],
        },
      ],
    },
  });

const NAME = `own-${NODE}`;
const isRunning = (pod: Pod | undefined): boolean => pod?.status?.phase === 'Running';

test('a static Pod runs and is shown in the API; deleting its mirror changes nothing, its file decides', async (t) => {
  const path = await directory(t);
  const file = join(path, 'own.json');
  await writeFile(file, manifest('one'));
  await withNodeSystem({ staticPods: path }, async (system) => {
    const first = await system.until(NAME, 'running', isRunning);
    const hash = first?.metadata.annotations?.['kubernetes.io/config.hash'];
    assert.equal(first?.metadata.annotations?.['kubernetes.io/config.mirror'], hash);
    assert.equal(first?.metadata.annotations?.['kubernetes.io/config.source'], 'file');
    assert.notEqual(first?.metadata.uid, hash);
    assert.equal(first?.metadata.ownerReferences?.[0]?.kind, 'Node');
    assert.equal(first?.metadata.ownerReferences?.[0]?.name, NODE);
    assert.match((await system.logs(NAME)).text, /^one$/m);
    const container = first?.status?.containerStatuses?.[0]?.containerID;

    // Whoever deletes the mirror gets another one, of the same containers.
    await system.client.delete(PODS, { namespace: 'default', name: NAME }, system.signal);
    const again = await system.until(
      NAME,
      'shown again',
      (pod) => isRunning(pod) && pod?.metadata.uid !== first?.metadata.uid,
    );
    assert.equal(again?.status?.containerStatuses?.[0]?.containerID, container);

    // A restarted agent finds its Pod running.
    await system.stopKubelet();
    await system.startKubelet();
    const same = await system.until(NAME, 'running', isRunning);
    assert.equal(same?.status?.containerStatuses?.[0]?.containerID, container);
    assert.equal(same?.status?.containerStatuses?.[0]?.restartCount, 0);

    await writeFile(file, manifest('two'));
    const changed = await system.until(
      NAME,
      'replaced',
      (pod) => isRunning(pod) && pod?.metadata.annotations?.['kubernetes.io/config.hash'] !== hash,
    );
    assert.notEqual(changed?.status?.containerStatuses?.[0]?.containerID, container);
    assert.match((await system.logs(NAME)).text, /^two$/m);
    assert.equal((await system.runtime().listPodSandboxes(system.signal)).length, 1);

    await rm(file);
    await system.until(NAME, 'gone', (pod) => pod === undefined);
    assert.deepEqual(await system.runtime().listPodSandboxes(system.signal), []);
  });
});

test('a file that was changed while the agent was away: the old Pod ends before the new one begins', async (t) => {
  const path = await directory(t);
  const file = join(path, 'own.json');
  await writeFile(file, manifest('one'));
  await withNodeSystem({ staticPods: path }, async (system) => {
    const first = await system.until(NAME, 'running', isRunning);
    await system.stopKubelet();
    await writeFile(file, manifest('two'));
    await system.startKubelet();
    const hash = first?.metadata.annotations?.['kubernetes.io/config.hash'];
    await system.until(
      NAME,
      'replaced',
      (pod) => isRunning(pod) && pod?.metadata.annotations?.['kubernetes.io/config.hash'] !== hash,
    );
    assert.equal((await system.runtime().listPodSandboxes(system.signal)).length, 1);
    await system.stopKubelet();
    await rm(file);
    await system.startKubelet();
    await system.until(NAME, 'gone', (pod) => pod === undefined);
    assert.deepEqual(await system.runtime().listPodSandboxes(system.signal), []);
  });
});
