import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  startTestCluster,
  statusOf,
  templateOf as template,
  workloadOf as workload,
  type TestCluster,
} from '../../test/support/test-cluster.ts';
import { createInformer } from '../kube/client/informer.ts';
import type { ResourceType } from '../kube/client/kube-client.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import {
  CLAIMS,
  CONFIG_MAPS,
  DAEMON_SETS,
  DEPLOYMENTS,
  EVENTS,
  JOBS,
  NAMESPACES,
  PODS,
  REPLICA_SETS,
  REPLICATION_CONTROLLERS,
  SERVICE_ACCOUNTS,
  STATEFUL_SETS,
} from './resource-types.ts';

/* Controllers against a real API server, with nodes that report what they are told. */

let cluster: TestCluster;
let api: TestCluster['api'];
let until: TestCluster['until'];
let make: TestCluster['make'];
let remove: TestCluster['remove'];
let newNamespace: TestCluster['newNamespace'];

before(async () => {
  cluster = await startTestCluster({ n1: { disk: 'ssd' }, n2: {} });
  ({ api, until, make, remove, newNamespace } = cluster);
});
after(() => cluster.close());

const QUOTAS: ResourceType = {
  group: '',
  version: 'v1',
  resource: 'resourcequotas',
  kind: 'ResourceQuota',
  namespaced: true,
};
const isReady = (pod: Pod): boolean => pod.status?.phase === 'Running';

test('a new namespace gets its account and the CA, again when they are deleted, and goes with all it holds', async () => {
  await newNamespace('furnished');
  await until<KubeObject & { data?: Record<string, string> }>(CONFIG_MAPS, 'furnished', (maps) =>
    maps.some((map) => map.metadata.name === 'kube-root-ca.crt' && map.data?.['ca.crt'] === api.pki.ca.cert),
  );
  const [first] = await until(SERVICE_ACCOUNTS, 'furnished', (accounts) => accounts.length === 1);
  await remove(SERVICE_ACCOUNTS, 'furnished', 'default');
  await until(
    SERVICE_ACCOUNTS,
    'furnished',
    (accounts) => accounts[0] !== undefined && accounts[0].metadata.uid !== first?.metadata.uid,
  );
  await make(PODS, 'furnished', 'p', { containers: [{ name: 'a', image: 'x' }] });
  await until<Pod>(PODS, 'furnished', (pods) => pods.every(isReady));
  await api.client.delete(NAMESPACES, { name: 'furnished' }, cluster.signal);
  await until(
    NAMESPACES,
    '',
    (namespaces) => !namespaces.some((namespace) => namespace.metadata.name === 'furnished'),
  );
});

test('a Pod goes where its selector says, and waits where nothing fits until it does', async () => {
  await newNamespace('placed');
  await make(PODS, 'placed', 'ssd', {
    nodeSelector: { disk: 'ssd' },
    containers: [{ name: 'a', image: 'x' }],
  });
  await until<Pod>(PODS, 'placed', (pods) => pods[0]?.spec.nodeName === 'n1');
  await make(PODS, 'placed', 'tape', {
    nodeSelector: { disk: 'tape' },
    containers: [{ name: 'a', image: 'x' }],
  });
  await until<Pod>(PODS, 'placed', (pods) =>
    pods.some(
      (pod) =>
        pod.status?.conditions?.some((c) => c.type === 'PodScheduled' && c.reason === 'Unschedulable') ??
        false,
    ),
  );
  const nodes = { group: '', version: 'v1', resource: 'nodes', kind: 'Node', namespaced: false };
  await api.client.patch(
    nodes,
    { name: 'n2' },
    { metadata: { labels: { disk: 'tape' } } },
    'merge',
    cluster.signal,
  );
  await until<Pod>(PODS, 'placed', (pods) =>
    pods.some((pod) => pod.metadata.name === 'tape' && pod.spec.nodeName === 'n2'),
  );
});

test('a ReplicaSet replaces Pods, adopts those that fit and lets go of those that do not', async () => {
  await newNamespace('sets');
  await make(PODS, 'sets', 'stray', { containers: [{ name: 'a', image: 'x' }] });
  await api.client.patch(
    PODS,
    { namespace: 'sets', name: 'stray' },
    { metadata: { labels: { app: 'r' } } },
    'merge',
    cluster.signal,
  );
  await make(REPLICA_SETS, 'sets', 'r', workload('r', 'x:1', { replicas: 3 }));
  const pods = await until<Pod>(PODS, 'sets', (found) => found.length === 3 && found.every(isReady));
  assert.ok(
    pods.every((pod) => pod.metadata.ownerReferences?.[0]?.name === 'r'),
    'the stray one too',
  );
  await remove(PODS, 'sets', 'stray');
  await until<Pod>(
    PODS,
    'sets',
    (found) => found.length === 3 && !found.some((pod) => pod.metadata.name === 'stray'),
  );
  const leaver = pods.find((pod) => pod.metadata.name !== 'stray')?.metadata.name ?? '';
  await api.client.patch(
    PODS,
    { namespace: 'sets', name: leaver },
    { metadata: { labels: { app: 'other' } } },
    'merge',
    cluster.signal,
  );
  const four = await until<Pod>(PODS, 'sets', (found) => found.length === 4);
  assert.equal(four.find((pod) => pod.metadata.name === leaver)?.metadata.ownerReferences, undefined);
  await until(REPLICA_SETS, 'sets', ([set]) => statusOf(set)['readyReplicas'] === 3);
});

test('a ReplicaSet that may not make Pods says so once and tries again with pauses', async () => {
  await newNamespace('refused');
  await make(QUOTAS, 'refused', 'none', { hard: { pods: '0' } });
  const set = await make(REPLICA_SETS, 'refused', 'web', workload('web', 'x:1', { replicas: 1 }));
  const events = await until<KubeObject & { reason?: string; message?: string }>(EVENTS, 'refused', (all) => {
    return all.filter(({ reason }) => reason === 'FailedCreate').length >= 4;
  });
  const messages = events
    .filter(({ reason }) => reason === 'FailedCreate')
    .map(({ message }) => message ?? '');
  assert.equal(new Set(messages).size, messages.length, 'every Pod has another name');
  type Failing = KubeObject & { status?: { conditions?: { type: string; message: string }[] } };
  const { metadata, status } = await api.client.get<Failing>(
    REPLICA_SETS,
    { namespace: 'refused', name: 'web' },
    cluster.signal,
  );
  const [condition] = status?.conditions ?? [];
  assert.equal(condition?.type, 'ReplicaFailure');
  const told = /pods "([^"]+)"/.exec(condition?.message ?? '')?.[1] ?? '';
  assert.ok(messages[0]?.includes(`"${told}"`), 'the condition is that of the first failure');
  const changes = Number(metadata.resourceVersion) - Number(set.metadata.resourceVersion);
  assert.ok(changes < 20, `${changes} changes`);
});

test('a Deployment is rolled out to a new template and keeps the old set for an undo', async () => {
  await newNamespace('rolled');
  await make(DEPLOYMENTS, 'rolled', 'd', workload('d', 'x:1', { replicas: 3 }));
  await until(DEPLOYMENTS, 'rolled', ([d]) => statusOf(d)['availableReplicas'] === 3);
  const patch = { spec: { template: { spec: { containers: [{ name: 'a', image: 'x:2' }] } } } };
  await api.client.patch(DEPLOYMENTS, { namespace: 'rolled', name: 'd' }, patch, 'strategic', cluster.signal);
  await until<Pod>(
    PODS,
    'rolled',
    (pods) =>
      pods.length === 3 && pods.every((pod) => pod.spec.containers[0]?.image === 'x:2' && isReady(pod)),
  );
  const [deployment] = await until(DEPLOYMENTS, 'rolled', ([d]) => {
    const status = statusOf(d);
    return status['updatedReplicas'] === 3 && status['availableReplicas'] === 3 && status['replicas'] === 3;
  });
  assert.equal(deployment?.metadata.annotations?.['deployment.kubernetes.io/revision'], '2');
  const sets = await api.client.list<KubeObject & { spec: { replicas: number } }>(
    REPLICA_SETS,
    { namespace: 'rolled' },
    cluster.signal,
  );
  assert.deepEqual(
    sets.items.map((set) => set.spec.replicas).sort((a, b) => a - b),
    [0, 3],
  );
});

test('Recreate removes every old Pod before the first new one', async () => {
  await newNamespace('recreated');
  await make(
    DEPLOYMENTS,
    'recreated',
    'd',
    workload('d', 'x:1', { replicas: 2, strategy: { type: 'Recreate' } }),
  );
  await until(DEPLOYMENTS, 'recreated', ([d]) => statusOf(d)['availableReplicas'] === 2);
  const mixed: string[] = [];
  const watching = new AbortController();
  const informer = createInformer<Pod>(api.client, PODS, { namespace: 'recreated' }, watching.signal);
  await informer.synced();
  informer.onChange(() => {
    const images = new Set(informer.values().map((pod) => pod.spec.containers[0]?.image));
    if (images.size > 1) mixed.push([...images].join());
  });
  const patch = { spec: { template: { spec: { containers: [{ name: 'a', image: 'x:2' }] } } } };
  await api.client.patch(
    DEPLOYMENTS,
    { namespace: 'recreated', name: 'd' },
    patch,
    'strategic',
    cluster.signal,
  );
  await until<Pod>(
    PODS,
    'recreated',
    (pods) => pods.length === 2 && pods.every((pod) => pod.spec.containers[0]?.image === 'x:2'),
  );
  watching.abort();
  assert.deepEqual(mixed, []);
});

test('a StatefulSet makes numbered Pods in order, each with its own claim, and removes them from the top', async () => {
  await newNamespace('numbered');
  const claim = {
    metadata: { name: 'data' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  };
  await make(
    STATEFUL_SETS,
    'numbered',
    'db',
    workload('db', 'x:1', { replicas: 3, serviceName: 'db', volumeClaimTemplates: [claim] }),
  );
  const pods = await until<Pod>(PODS, 'numbered', (found) => found.length === 3 && found.every(isReady));
  assert.deepEqual(pods.map((pod) => pod.metadata.name).sort(), ['db-0', 'db-1', 'db-2']);
  const first = pods.find((pod) => pod.metadata.name === 'db-0');
  assert.equal(first?.spec.hostname, 'db-0');
  assert.ok(first?.spec.volumes?.some((volume) => volume.persistentVolumeClaim?.claimName === 'data-db-0'));
  await until(
    CLAIMS,
    'numbered',
    (claims) => claims.length === 3 && claims.every((c) => statusOf(c)['phase'] === 'Bound'),
  );
  await api.client.patch(
    STATEFUL_SETS,
    { namespace: 'numbered', name: 'db' },
    { spec: { replicas: 1 } },
    'merge',
    cluster.signal,
  );
  const left = await until<Pod>(PODS, 'numbered', (found) => found.length === 1);
  assert.equal(left[0]?.metadata.name, 'db-0');
});

test('a DaemonSet has one Pod on each node that fits', async () => {
  await newNamespace('everywhere');
  await make(DAEMON_SETS, 'everywhere', 'all', workload('all', 'x:1'));
  await make(DAEMON_SETS, 'everywhere', 'some', {
    ...workload('some', 'x:1'),
    template: template('some', 'x:1', { nodeSelector: { disk: 'ssd' } }),
  });
  const pods = await until<Pod>(PODS, 'everywhere', (found) => found.length === 3 && found.every(isReady));
  const places = pods.map((pod) => `${pod.metadata.labels?.['app'] ?? ''} ${pod.spec.nodeName ?? ''}`).sort();
  assert.deepEqual(places, ['all n1', 'all n2', 'some n1']);
  await until(DAEMON_SETS, 'everywhere', (sets) =>
    sets.every((set) => statusOf(set)['numberReady'] === statusOf(set)['desiredNumberScheduled']),
  );
});

test('a Job runs until enough Pods have succeeded, and counts each once', async () => {
  await newNamespace('worked');
  await make(JOBS, 'worked', 'j', {
    completions: 3,
    parallelism: 2,
    template: { spec: { restartPolicy: 'Never', containers: [{ name: 'a', image: 'done:1' }] } },
  });
  const [job] = await until(
    JOBS,
    'worked',
    ([found]) =>
      (statusOf(found)['conditions'] as { type: string }[] | undefined)?.some((c) => c.type === 'Complete') ??
      false,
  );
  assert.equal(statusOf(job)['succeeded'], 3);
  const pods = await until<Pod>(PODS, 'worked', (found) =>
    found.every((pod) => pod.metadata.finalizers === undefined),
  );
  assert.equal(pods.length, 3);
});

test('a finished Job counts nothing more, and a suspended one starts anew when it is resumed', async () => {
  await newNamespace('paused');
  const name = { namespace: 'paused', name: 'j' };
  await make(JOBS, 'paused', 'j', {
    suspend: true,
    template: { spec: { restartPolicy: 'Never', containers: [{ name: 'a', image: 'done:1' }] } },
  });
  const suspended = (job: KubeObject | undefined): string | undefined =>
    (statusOf(job)['conditions'] as { type: string; status: string }[] | undefined)?.find(
      ({ type }) => type === 'Suspended',
    )?.status;
  const [waiting] = await until(JOBS, 'paused', ([job]) => suspended(job) === 'True');
  assert.equal(statusOf(waiting)['startTime'], undefined);
  await api.client.patch(JOBS, name, { spec: { suspend: false } }, 'merge', cluster.signal);
  const [done] = await until(
    JOBS,
    'paused',
    ([job]) =>
      statusOf(job)['completionTime'] !== undefined &&
      Object.keys(statusOf(job)['uncountedTerminatedPods'] as object).length === 0,
  );
  assert.equal(suspended(done), 'False');
  assert.notEqual(statusOf(done)['startTime'], undefined);
  const told = await until<KubeObject & { reason?: string; message?: string }>(
    EVENTS,
    'paused',
    (events) => events.filter(({ reason = '' }) => ['Suspended', 'Resumed'].includes(reason)).length === 2,
  );
  const messages = told.map(({ message }) => message);
  assert.ok(messages.includes('Job suspended') && messages.includes('Job resumed'), String(messages));
});

test('a namespace under deletion tells what keeps it', async () => {
  await newNamespace('kept');
  const name = { namespace: 'kept', name: 'held' };
  await api.client.create(
    CONFIG_MAPS,
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: name },
    cluster.signal,
  );
  await api.client.patch(CONFIG_MAPS, name, { metadata: { finalizers: ['a.b/c'] } }, 'merge', cluster.signal);
  await api.client.delete(NAMESPACES, { name: 'kept' }, cluster.signal);
  const conditionsOf = (found: KubeObject[]): string[] => {
    const namespace = found.find(({ metadata }) => metadata.name === 'kept');
    const conditions = (statusOf(namespace)['conditions'] ?? []) as Record<string, string>[];
    return conditions.map(({ type, status, reason, message }) => `${type} ${status} ${reason}: ${message}`);
  };
  const found = await until(NAMESPACES, '', (all) => conditionsOf(all).length > 0);
  assert.deepEqual(conditionsOf(found), [
    'NamespaceDeletionDiscoveryFailure False ResourcesDiscovered: All resources successfully discovered',
    'NamespaceDeletionGroupVersionParsingFailure False ParsedGroupVersions: All legacy kube types successfully parsed',
    'NamespaceDeletionContentFailure False ContentDeleted: All content successfully deleted, may be waiting on finalization',
    'NamespaceContentRemaining True SomeResourcesRemain: Some resources are remaining: configmaps. has 1 resource instances',
    'NamespaceFinalizersRemaining True SomeFinalizersRemain: Some content in the namespace has finalizers remaining: a.b/c in 1 resource instances',
  ]);
  await api.client.patch(CONFIG_MAPS, name, { metadata: { finalizers: null } }, 'merge', cluster.signal);
  await until(NAMESPACES, '', (all) => !all.some(({ metadata }) => metadata.name === 'kept'));
});

test('a Job that fails too often is failed', async () => {
  await newNamespace('failed');
  await make(JOBS, 'failed', 'j', {
    backoffLimit: 0,
    template: { spec: { restartPolicy: 'Never', containers: [{ name: 'a', image: 'fail:1' }] } },
  });
  const [job] = await until(
    JOBS,
    'failed',
    ([found]) =>
      (statusOf(found)['conditions'] as { type: string }[] | undefined)?.some((c) => c.type === 'Failed') ??
      false,
  );
  const condition = (statusOf(job)['conditions'] as { type: string; reason: string }[]).find(
    (c) => c.type === 'Failed',
  );
  assert.equal(condition?.reason, 'BackoffLimitExceeded');
});

test('a Job follows its policies on failures, by Pod and by index, and on success', async () => {
  await newNamespace('policies');
  const endOfJob = async (name: string, spec: object, image: string): Promise<Record<string, unknown>> => {
    const podSpec = { restartPolicy: 'Never', containers: [{ name: 'a', image }] };
    await make(JOBS, 'policies', name, { ...spec, template: { spec: podSpec } });
    const isOver = (job: KubeObject): boolean =>
      ((statusOf(job)['conditions'] ?? []) as { type: string }[]).some(
        ({ type }) => type === 'Complete' || type === 'Failed',
      );
    const jobs = await until(JOBS, 'policies', (all) =>
      all.some((job) => job.metadata.name === name && isOver(job)),
    );
    return statusOf(jobs.find(({ metadata }) => metadata.name === name));
  };
  const wordsOf = (status: Record<string, unknown>): string[] =>
    (status['conditions'] as Record<string, string>[]).map(({ type, reason, message }) =>
      `${type} ${reason}: ${message}`.replace(/policies\/\S+/, 'POD'),
    );
  const failJob = { action: 'FailJob', onExitCodes: { operator: 'In', values: [1] } };
  const failed = await endOfJob('fails', { podFailurePolicy: { rules: [failJob] } }, 'fail:1');
  const message = 'Container a for pod POD failed with exit code 1 matching FailJob rule at index 0';
  assert.deepEqual(wordsOf(failed), [
    `FailureTarget PodFailurePolicy: ${message}`,
    `Failed PodFailurePolicy: ${message}`,
  ]);
  assert.equal(failed['failed'], 1);

  const indexed = { completionMode: 'Indexed', completions: 2, parallelism: 2, backoffLimitPerIndex: 0 };
  const byIndex = await endOfJob('indexed', indexed, 'fail:1');
  assert.deepEqual(wordsOf(byIndex), [
    'FailureTarget FailedIndexes: Job has failed indexes',
    'Failed FailedIndexes: Job has failed indexes',
  ]);
  assert.equal(byIndex['failedIndexes'], '0,1');

  const rules = [{ succeededIndexes: '0', succeededCount: 1 }];
  const few = { completionMode: 'Indexed', completions: 3, parallelism: 1, successPolicy: { rules } };
  const enough = await endOfJob('enough', few, 'done:1');
  assert.deepEqual(wordsOf(enough), [
    'SuccessCriteriaMet SuccessPolicy: Matched rules at index 0',
    'Complete SuccessPolicy: Matched rules at index 0',
  ]);
});

test('a Job past its deadline fails once its last Pod has ended', async () => {
  await newNamespace('late');
  const podSpec = { restartPolicy: 'Never', containers: [{ name: 'a', image: 'x:1' }] };
  await make(JOBS, 'late', 'j', { activeDeadlineSeconds: 1, template: { spec: podSpec } });
  const [job] = await until(JOBS, 'late', ([found]) =>
    ((statusOf(found)['conditions'] ?? []) as { type: string }[]).some(({ type }) => type === 'Failed'),
  );
  const conditions = statusOf(job)['conditions'] as Record<string, string>[];
  assert.deepEqual(
    conditions.map(({ type, reason }) => `${type} ${reason}`),
    ['FailureTarget DeadlineExceeded', 'Failed DeadlineExceeded'],
  );
  assert.equal(statusOf(job)['active'], undefined);
  assert.equal(statusOf(job)['failed'], 1);
});

test('deleting an owner takes its dependents along, waits for them, or leaves them', async () => {
  await newNamespace('owned');
  for (const name of ['back', 'fore', 'orph']) {
    await make(REPLICATION_CONTROLLERS, 'owned', name, {
      replicas: 1,
      selector: { app: name },
      template: template(name, 'x:1'),
    });
  }
  await until<Pod>(PODS, 'owned', (pods) => pods.length === 3 && pods.every(isReady));
  await remove(REPLICATION_CONTROLLERS, 'owned', 'back', 'Background');
  await remove(REPLICATION_CONTROLLERS, 'owned', 'fore', 'Foreground');
  await remove(REPLICATION_CONTROLLERS, 'owned', 'orph', 'Orphan');
  await until(REPLICATION_CONTROLLERS, 'owned', (controllers) => controllers.length === 0);
  const [left] = await until<Pod>(PODS, 'owned', (pods) => pods.length === 1);
  assert.equal(left?.metadata.labels?.['app'], 'orph');
  assert.equal(left?.metadata.ownerReferences, undefined);
});
