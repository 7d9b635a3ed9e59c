import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { criImageService } from '../../src/cri/cri-image-service.ts';
import { HttpKubeClient } from '../../src/kube/client/http-kube-client.ts';
import { createInformer } from '../../src/kube/client/informer.ts';
import { loadKubeconfig } from '../../src/kube/client/kubeconfig.ts';
import { parseManifests } from '../../src/kube/decode/parse-manifests.ts';
import type { Node } from '../../src/kube/node.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import type { Pod } from '../../src/kube/pod.ts';
import { findKind, type ResourceInfo } from '../../src/kube/resources.ts';
import { foreignProgram, pushTinyImage, tinyLayer } from '../node/real-image.ts';
import { makeRoot, removeRoot, startUp } from '../support/running-system.ts';
import { OCI_INDEX, serveRegistry, type ServedRegistry } from '../support/serve-registry.ts';
import { tarOf } from '../support/tar-of.ts';

/* Several nodes of one machine, as a user runs them: dray up --nodes, --node, and a dray node that joins. */

const DRAY = fileURLToPath(new URL('../../bin/dray.js', import.meta.url));
const OWN = process.arch === 'arm64' ? 'arm64' : 'amd64';
const OTHER = OWN === 'arm64' ? 'amd64' : 'arm64';
const LIMIT_MS = 90_000;

test('C3 E2: three nodes of two platforms and one that joined: a DaemonSet warms each, an affinity keeps Pods off the wrong ones', async (t) => {
  const registry = await serveRegistry(t);
  await pushIndex(registry, 'private/app', 'v1.2', ['amd64', 'arm64', 'riscv64']);
  await pushIndex(registry, 'multi-arch-app', 'latest', ['amd64', 'arm64', 'riscv64']);
  const root = makeRoot();
  const ending = new AbortController();
  const signal = AbortSignal.any([ending.signal, AbortSignal.timeout(LIMIT_MS)]);
  const up = ['--api-port', '0', '--registry-port', '0'];
  const system = await startUp(root, [...up, '--nodes', '2', '--node', `other:linux/${OTHER}`]);
  const client = new HttpKubeClient(await loadKubeconfig(system.kubeconfig));
  const risc = spawn(
    process.execPath,
    [DRAY, 'node', '--join', root, '--node-name', 'risc', '--platform', 'linux/riscv64'],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  try {
    const pods = createInformer<Pod>(client, kindOf('v1', 'Pod'), { namespace: 'default' }, signal);
    const nodes = createInformer<Node>(client, kindOf('v1', 'Node'), {}, signal);
    const until = async <T>(find: () => T | undefined): Promise<T> => {
      for (;;) {
        signal.throwIfAborted();
        const found = find();
        if (found !== undefined) return found;
        await new Promise<void>((resolve) => setTimeout(resolve, 50));
      }
    };
    const ready = await until(() => {
      const list = nodes.values().filter(isReady);
      return list.length === 4 ? list : undefined;
    });
    const byName = new Map(ready.map((node) => [node.metadata.name, node.metadata.labels ?? {}]));
    const machine = system.output().match(/nodes (\S+) \(/)?.[1] ?? '';
    assert.deepEqual([...byName.keys()].toSorted(), [machine, `${machine}-2`, 'other', 'risc'].toSorted());
    for (const [name, labels] of byName) {
      assert.equal(labels['kubernetes.io/os'], 'linux');
      assert.equal(labels['kubernetes.io/hostname'], name);
    }
    assert.equal(byName.get(`${machine}-2`)?.['kubernetes.io/arch'], OWN);
    assert.equal(byName.get('other')?.['kubernetes.io/arch'], OTHER);
    assert.equal(byName.get('risc')?.['kubernetes.io/arch'], 'riscv64');

    await apply(client, registry, 'image-preheat.yaml', signal);
    await apply(client, registry, 'multi-arch-app.yaml', signal);
    const of = (label: string, value: string): Pod[] =>
      pods.values().filter(({ metadata }) => metadata.labels?.[label] === value);
    const apps = await until(() => {
      const placed = of('app', 'multi-arch-app').filter((pod) => hasPulled(pod));
      return placed.length === 3 ? placed : undefined;
    });
    // They spread: one on each node that the affinity allows.
    assert.deepEqual(
      apps.map(({ spec }) => spec.nodeName ?? '').toSorted(),
      [machine, `${machine}-2`, 'other'].toSorted(),
    );
    const foreign = apps.find(({ spec }) => spec.nodeName === 'other');
    const name = foreign?.metadata.name ?? '';
    const ended = await until(() => {
      const status = pods.get('default', name)?.status?.containerStatuses?.[0];
      return status?.state?.terminated ?? status?.lastState?.terminated;
    });
    assert.notEqual(ended.exitCode, 0);
    for (const pod of apps) {
      if (pod !== foreign) await until(() => isRunning(pods.get('default', pod.metadata.name)) || undefined);
    }

    // Each node has its own image of the name, in a store of its own that others reach over CRI.
    const ids: string[] = [];
    for (const nodeRoot of [
      root,
      ...['other', 'risc', `${machine}-2`].map((node) => join(root, 'nodes', node)),
    ]) {
      const images = await criImageService(`unix://${join(nodeRoot, 'cri.sock')}`, signal);
      const image = `${registry.host}/private/app:v1.2`;
      let found = await images.imageStatus({ image }, signal);
      while (found === undefined) {
        await new Promise<void>((resolve) => setTimeout(resolve, 50));
        found = await images.imageStatus({ image }, signal);
      }
      ids.push(found.id);
      images.close();
    }
    assert.equal(new Set(ids).size, 3);
    assert.equal(ids[0], ids[3]);
  } finally {
    ending.abort();
    risc.kill('SIGTERM');
    if (risc.exitCode === null) await once(risc, 'exit');
    await client.close();
    await system.stop();
    removeRoot(root);
  }
});

function kindOf(apiVersion: string, kind: string): ResourceInfo {
  const found = findKind(apiVersion, kind);
  assert.ok(found !== undefined);
  return found;
}

function isReady(node: Node): boolean {
  return node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

function isRunning(pod: Pod | undefined): boolean {
  return pod?.status?.phase === 'Running';
}

/** Tells whether a container of the Pod has had its image. */
function hasPulled(pod: Pod): boolean {
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  return statuses.some(({ imageID }) => imageID !== undefined && imageID !== '');
}

/** Applies an example with the registry of the test in place of the usual one. */
async function apply(
  client: HttpKubeClient,
  registry: ServedRegistry,
  file: string,
  signal: AbortSignal,
): Promise<void> {
  const text = await readFile(new URL(`../../examples/${file}`, import.meta.url), 'utf8');
  for (const object of parseManifests(text.replaceAll('localhost:5000', registry.host))) {
    const full: KubeObject = { ...object, metadata: { namespace: 'default', ...object.metadata } };
    await client.create(kindOf(full.apiVersion, full.kind), full, signal);
  }
}

/** Pushes one name for several platforms; what is not for this machine is a program that it cannot run. */
async function pushIndex(
  registry: ServedRegistry,
  repository: string,
  tag: string,
  architectures: readonly string[],
): Promise<void> {
  const native = await tinyLayer();
  const foreign = tarOf({ path: 'bin/', mode: 0o755 }, await foreignProgram());
  const manifests = [];
  for (const architecture of architectures) {
    const layer = architecture === OWN ? native : foreign;
    const described = await pushTinyImage(registry, layer, repository, architecture, {
      architecture,
      ...(architecture === OWN ? {} : { cmd: ['/bin/foreign'] }),
    });
    manifests.push({ ...described, platform: { os: 'linux', architecture } });
  }
  await registry.pushManifest(repository, tag, { schemaVersion: 2, mediaType: OCI_INDEX, manifests });
}
