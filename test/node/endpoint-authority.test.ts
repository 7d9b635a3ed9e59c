import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENDPOINT_AUTHORITY } from '../../src/kube/client/kubelet-endpoint.ts';
import { NODES } from '../../src/kubelet/node/node-agent.ts';
import { Kubectl } from '../support/kubectl.ts';
import { findKubectls } from '../support/tools.ts';
import { NODE, withNodeSystem, type NodeSystem } from './node-system.ts';

const POD = {
  nodeName: NODE,
  containers: [
    {
      name: 'a',
      image: 'registry.example/tiny:1',
      command: ['/bin/sh', '-c', 'echo it-works; trap "exit 0" TERM; sleep 1000000 & wait'],
    },
  ],
};

async function runs(system: NodeSystem): Promise<void> {
  await system.createPod('p', POD);
  await system.until('p', 'running', (pod) => pod?.status?.phase === 'Running');
}

test('logs and commands reach a node whose certificate is its own, because its Node says who signed it', async () => {
  await withNodeSystem({ ownAuthority: 'named' }, async (system) => {
    await runs(system);
    let log = await system.logs('p');
    // What the container says comes a moment after it runs.
    while (log.status === 200 && log.text === '' && !system.signal.aborted) log = await system.logs('p');
    assert.deepEqual(log, { status: 200, text: 'it-works\n' });
    for (const binary of findKubectls()) {
      const kubectl = new Kubectl(binary, system);
      assert.equal(await kubectl.run(['exec', 'p', '--', '/bin/echo', 'hi']), 'hi\n');
    }
    // A later agent keeps it on the Node that is there.
    await system.client.patch(
      NODES,
      { name: NODE },
      { metadata: { annotations: { [ENDPOINT_AUTHORITY]: null } } },
      'merge',
      system.signal,
    );
    assert.equal((await system.logs('p')).status, 500);
    await system.stopKubelet();
    await system.startKubelet();
    assert.equal((await system.logs('p')).status, 200);
  });
});

test('a node whose certificate nobody vouches for is not believed', async () => {
  await withNodeSystem({ ownAuthority: 'unnamed' }, async (system) => {
    await runs(system);
    const { status, text } = await system.logs('p');
    assert.equal(status, 500);
    assert.match(text, /certificate signature failure/);
  });
});
