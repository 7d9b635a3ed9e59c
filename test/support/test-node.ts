import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createInformer } from '../../src/kube/client/informer.ts';
import { KubeApiError } from '../../src/kube/client/kube-api-error.ts';
import type { HttpKubeClient } from '../../src/kube/client/http-kube-client.ts';
import { findResource } from '../../src/kube/resources.ts';
import type { Pod } from '../../src/kube/pod.ts';
import type { TestApi } from './test-api.ts';

/** What a test node does with an image: run it for ever, or end at once with a code. */
export type Behaviour = (image: string) => { readonly exits: number } | 'runs' | 'waits';

const byName: Behaviour = (image) => {
  if (image.startsWith('done')) return { exits: 0 };
  if (image.startsWith('fail')) return { exits: 1 };
  return image.startsWith('wait') ? 'waits' : 'runs';
};

/**
 * Registers a node that reports its Pods as running, or ended, without running anything, and serves a log of two lines.
 * It speaks to the API as a node does: with a node's certificate and rights.
 */
export async function startTestNode(
  api: TestApi,
  name: string,
  signal: AbortSignal,
  options: { behaviour?: Behaviour; labels?: Record<string, string> } = {},
): Promise<{ stopped: Promise<void> }> {
  const pods = findResource('', 'v1', 'pods');
  const nodes = findResource('', 'v1', 'nodes');
  if (pods === undefined || nodes === undefined)
    throw new Error('Cannot start a test node: kinds are missing');
  const client = await api.clientFor(`system:node:${name}`, 'system:nodes');
  const serving = await api.pki.issue({
    file: `kubelet-${name}`,
    commonName: name,
    usage: 'server',
    names: ['127.0.0.1'],
  });
  const logs = createServer({ key: serving.key, cert: serving.cert }, (request, response) => {
    const tail = new URL(request.url ?? '/', 'https://node').searchParams.get('tailLines');
    const lines = ['line 1\n', 'line 2\n'];
    response.end((tail === null ? lines : lines.slice(-Number(tail))).join(''));
  });
  await new Promise<void>((resolve) => logs.listen(0, '127.0.0.1', resolve));
  const stopped = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => {
      logs.closeAllConnections();
      logs.close(() => resolve());
    });
  });
  const labels = {
    'kubernetes.io/arch': 'amd64',
    'kubernetes.io/os': 'linux',
    'kubernetes.io/hostname': name,
    ...options.labels,
  };
  await client.create(nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } }, signal);
  const { port } = logs.address() as AddressInfo;
  await client.patch(nodes, { name }, { status: nodeStatus(port) }, 'strategic', signal, {
    subresource: 'status',
  });
  const selector = { fieldSelector: `spec.nodeName=${name}` };
  const informer = createInformer<Pod>(client, pods, selector, signal);
  informer.onChange(({ type, object }) => {
    if (type === 'deleted') return;
    act(client, object, options.behaviour ?? byName, signal).catch((error: unknown) => {
      // The Pod may be gone or changed before the node got round to it.
      if (!signal.aborted && !(error instanceof KubeApiError)) throw error;
    });
  });
  return { stopped };
}

async function act(
  client: HttpKubeClient,
  pod: Pod,
  behaviour: Behaviour,
  signal: AbortSignal,
): Promise<void> {
  const type = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true };
  const { namespace = '', name, uid = '' } = pod.metadata;
  if (pod.metadata.deletionTimestamp !== undefined) {
    if (pod.metadata.deletionGracePeriodSeconds === 0) return;
    await client.delete(type, { namespace, name }, signal, { gracePeriodSeconds: 0, preconditions: { uid } });
    return;
  }
  const image = pod.spec.containers[0]?.image ?? '';
  const does = behaviour(image);
  if (does === 'waits' || pod.status?.phase !== 'Pending') return;
  const status = does === 'runs' ? running(pod) : ended(pod, does.exits);
  await client.patch(type, { namespace, name }, { status }, 'strategic', signal, { subresource: 'status' });
}

const now = (): string => `${new Date().toISOString().slice(0, 19)}Z`;
const conditions = (status: string): object[] =>
  ['Initialized', 'Ready', 'ContainersReady'].map((type) => ({
    type,
    status,
    lastProbeTime: null,
    lastTransitionTime: now(),
  }));

function running(pod: Pod): object {
  return {
    phase: 'Running',
    startTime: now(),
    podIP: '127.0.0.1',
    podIPs: [{ ip: '127.0.0.1' }],
    hostIP: '127.0.0.1',
    conditions: conditions('True'),
    containerStatuses: pod.spec.containers.map((container) => ({
      name: container.name,
      image: container.image,
      imageID: '',
      ready: true,
      started: true,
      restartCount: 0,
      state: { running: { startedAt: now() } },
    })),
  };
}

function ended(pod: Pod, exitCode: number): object {
  return {
    phase: exitCode === 0 ? 'Succeeded' : 'Failed',
    startTime: now(),
    conditions: conditions('False'),
    containerStatuses: pod.spec.containers.map((container) => ({
      name: container.name,
      image: container.image,
      imageID: '',
      ready: false,
      started: false,
      restartCount: 0,
      state: {
        terminated: {
          exitCode,
          reason: exitCode === 0 ? 'Completed' : 'Error',
          startedAt: now(),
          finishedAt: now(),
        },
      },
    })),
  };
}

function nodeStatus(port: number): object {
  const size = { cpu: '4', memory: '8Gi', pods: '110' };
  return {
    allocatable: size,
    capacity: size,
    conditions: [
      {
        type: 'Ready',
        status: 'True',
        reason: 'KubeletReady',
        message: 'test node',
        lastHeartbeatTime: now(),
        lastTransitionTime: now(),
      },
    ],
    addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
    nodeInfo: {
      architecture: 'amd64',
      bootID: '',
      containerRuntimeVersion: 'test://1',
      kernelVersion: '',
      kubeProxyVersion: '',
      kubeletVersion: 'v1.36.2',
      machineID: '',
      operatingSystem: 'linux',
      osImage: 'test',
      systemUUID: '',
    },
  };
}
