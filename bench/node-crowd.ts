import { join } from 'node:path';
import { writeKubeconfig } from '../src/daemon/kubeconfig.ts';
import { createInformer } from '../src/kube/client/informer.ts';
import type { ResourceType } from '../src/kube/client/kube-client.ts';
import type { KubeObject } from '../src/kube/object.ts';
import type { Pod } from '../src/kube/pod.ts';
import { EVENTS } from '../src/kubelet/event-recorder.ts';
import { PODS } from '../src/kubelet/status-manager.ts';
import { hostPlatform } from '../src/oci/host-platform.ts';
import { FaultRegistry, sha256 } from '../test/support/fault-registry.ts';
import { startNodeProcess } from '../test/support/node-process.ts';
import { makeRoot, removeRoot } from '../test/support/running-system.ts';
import { startTestApi } from '../test/support/test-api.ts';
import { tinyLayer } from '../test/node/real-image.ts';
import { cpuSeconds } from './node-process-facts.ts';
import type { Row } from './row.ts';

const CROWD = 200;
const NODE = 'crowd';
const LIMIT_MS = 300_000;
/** Pulling (each while none has it), Pulled, Created, Started. */
const MAX_EVENTS_EACH = 4;
const ACCOUNTS: ResourceType = {
  group: '',
  version: 'v1',
  resource: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
};

/** Two hundred Pods of one image, bound to one node at once. The API server is in this process, so that its time does not count. */
export async function crowdRows(): Promise<Row[]> {
  const root = makeRoot();
  const ending = new AbortController();
  const signal = AbortSignal.any([ending.signal, AbortSignal.timeout(LIMIT_MS)]);
  const api = await startTestApi();
  const registry = await FaultRegistry.start();
  const layer = await tinyLayer();
  registry.putImage(
    'crowd',
    '1',
    [{ bytes: layer, diffId: sha256(layer), mediaType: 'application/vnd.oci.image.layer.v1.tar' }],
    hostPlatform(),
    {
      Cmd: ['/bin/true'],
    },
  );
  const kubeconfig = join(root, 'kubeconfig');
  const user = await api.certificate(`system:node:${NODE}`, 'system:nodes');
  await writeKubeconfig(kubeconfig, { name: 'bench', server: api.server.url, ca: api.pki.ca.cert, user });
  const account = {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default', namespace: 'default' },
  };
  await api.client.create(ACCOUNTS, account, signal);
  const node = await startNodeProcess([
    '--kubeconfig',
    kubeconfig,
    '--root',
    join(root, 'own'),
    '--node-name',
    NODE,
    // The rate of pulls is a setting, not work: without a limit all Pods go on as soon as the image is there.
    '--max-pods',
    String(CROWD),
    '--registry-qps',
    '0',
  ]);
  try {
    const pods = createInformer<Pod>(api.client, PODS, { namespace: 'default' }, signal);
    const pid = node.process.pid ?? 0;
    const cpuBefore = cpuSeconds(pid);
    const begun = performance.now();
    const create = (name: string): Promise<Pod> =>
      api.client.create<Pod>(
        PODS,
        {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name, namespace: 'default' },
          spec: {
            nodeName: NODE,
            restartPolicy: 'Never',
            automountServiceAccountToken: false,
            containers: [{ name: 'a', image: `${registry.host}/crowd:1`, imagePullPolicy: 'IfNotPresent' }],
          },
        },
        signal,
      );
    await Promise.all(Array.from({ length: CROWD }, (_, index) => create(`p${index}`)));
    const hasStarted = ({ status }: Pod): boolean =>
      status?.containerStatuses?.[0]?.containerID !== undefined || status?.phase === 'Succeeded';
    while (pods.values().filter(hasStarted).length < CROWD) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => setTimeout(resolve, 20));
    }
    const cpu = cpuSeconds(pid) - cpuBefore;
    const seconds = (performance.now() - begun) / 1000;
    const { items } = await api.client.list<
      KubeObject & { involvedObject?: { kind?: string }; count?: number }
    >(EVENTS, { namespace: 'default' }, signal);
    const events = items.filter(({ involvedObject }) => involvedObject?.kind === 'Pod').length;
    const blobs = registry.count('GET', /blobs/);
    return [
      {
        what: `${CROWD} Pods of one image at once: processor time of the agent until all have started`,
        measured: `${cpu.toFixed(1)} s`,
        note: `${seconds.toFixed(1)} s by the clock; nearly all of it starts processes: the mount, the shim and runc of each container`,
      },
      {
        what: 'blobs fetched for them',
        measured: String(blobs),
        target: '2',
        met: blobs === 2,
        note: 'a configuration and a layer',
      },
      {
        what: 'events about them',
        measured: String(events),
        target: `≤ ${CROWD * MAX_EVENTS_EACH}`,
        met: events <= CROWD * MAX_EVENTS_EACH,
      },
    ];
  } finally {
    await node.stop();
    ending.abort();
    await registry.close();
    await api.close();
    removeRoot(root);
  }
}
