import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  startTestCluster,
  statusOf,
  templateOf,
  workloadOf,
  type TestCluster,
} from '../../test/support/test-cluster.ts';
import type { ClusterRole } from '../kube/cluster-role.ts';
import type { ResourceType } from '../kube/client/kube-client.ts';
import type { KubeObject, OwnerReference } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import {
  CLAIMS,
  CLUSTER_ROLES,
  CONFIG_MAPS,
  CONTROLLER_REVISIONS,
  DAEMON_SETS,
  DEFINITIONS,
  DEPLOYMENTS,
  JOBS,
  NODES,
  PODS,
  REPLICA_SETS,
  SECRETS,
  SERVICE_ACCOUNTS,
  STATEFUL_SETS,
} from './resource-types.ts';

/* How workloads name, replace and remove what is theirs, and what they say when they may not. */

let cluster: TestCluster;
before(async () => {
  cluster = await startTestCluster({ n1: {}, n2: {} });
});
after(() => cluster.close());

const QUOTAS: ResourceType = {
  group: '',
  version: 'v1',
  resource: 'resourcequotas',
  kind: 'ResourceQuota',
  namespaced: true,
};
const isUp = (pod: Pod): boolean =>
  pod.status?.phase === 'Running' && pod.metadata.deletionTimestamp === undefined;
const imagesOf = (pods: readonly Pod[]): string[] =>
  pods.map(({ spec }) => spec.containers[0]?.image ?? '').sort();
const nameIn = (message: string): RegExp => new RegExp(`^Warning FailedCreate ${message}`);
const REFUSED = 'exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0$';

test('every kind of owner says in its own words that it may make no Pods', async () => {
  await cluster.newNamespace('refused');
  await cluster.make(QUOTAS, 'refused', 'none', { hard: { pods: '0' } });
  await cluster.make(REPLICA_SETS, 'refused', 'rs', workloadOf('rs', 'x:1', { replicas: 1 }));
  await cluster.make(DAEMON_SETS, 'refused', 'ds', workloadOf('ds', 'x:1'));
  await cluster.make(STATEFUL_SETS, 'refused', 'sts', workloadOf('sts', 'x:1', { serviceName: 's' }));
  const podSpec = { restartPolicy: 'Never', containers: [{ name: 'a', image: 'x:1' }] };
  await cluster.make(JOBS, 'refused', 'job', { template: { spec: podSpec } });
  const indexed = { completionMode: 'Indexed', completions: 1, template: { spec: podSpec } };
  await cluster.make(JOBS, 'refused', 'idx', indexed);
  await cluster.told('refused', nameIn(`Error creating: pods "rs-[a-z0-9]{5}" is forbidden: ${REFUSED}`));
  await cluster.told('refused', nameIn(`Error creating: pods "ds-[a-z0-9]{5}" is forbidden: ${REFUSED}`));
  await cluster.told('refused', nameIn(`Error creating: pods "job-[a-z0-9]{5}" is forbidden: ${REFUSED}`));
  await cluster.told('refused', nameIn(`Error creating: pods "idx-0-[a-z0-9]{5}" is forbidden: ${REFUSED}`));
  await cluster.told(
    'refused',
    nameIn(`Create Pod sts-0 in StatefulSet sts failed error: pods "sts-0" is forbidden: ${REFUSED}`),
  );
});

test('a Pod refused before it has a name is told by what the name would begin with', async () => {
  await cluster.newNamespace('nameless');
  const template = templateOf('rs', 'x:1', { serviceAccountName: 'nobody' });
  await cluster.make(REPLICA_SETS, 'nameless', 'rs', {
    ...workloadOf('rs', 'x:1', { replicas: 1 }),
    template,
  });
  await cluster.told(
    'nameless',
    'Warning FailedCreate Error creating: pods "rs-" is forbidden: error looking up service account nameless/nobody: serviceaccount "nobody" not found',
  );
});

test('the Pods of an indexed Job are called by their index', async () => {
  await cluster.newNamespace('indexed');
  const podSpec = { restartPolicy: 'Never', containers: [{ name: 'a', image: 'done:1' }] };
  const spec = { completionMode: 'Indexed', completions: 2, parallelism: 2, template: { spec: podSpec } };
  await cluster.make(JOBS, 'indexed', 'j', spec);
  await cluster.until(JOBS, 'indexed', ([job]) => statusOf(job)['completedIndexes'] === '0,1');
  const pods = await cluster.until<Pod>(PODS, 'indexed', (all) => all.length === 2);
  const names = pods.map(({ metadata }) => metadata.name).sort();
  assert.match(names.join(' '), /^j-0-[a-z0-9]{5} j-1-[a-z0-9]{5}$/);
  assert.deepEqual(pods.map(({ metadata }) => metadata.generateName ?? '').sort(), ['j-0-', 'j-1-']);
});

test('a DaemonSet rolls on node by node, or with new Pods beside the old, and keeps what undo needs', async () => {
  await cluster.newNamespace('rolled');
  const strategy = (more: object): object => ({
    updateStrategy: { type: 'RollingUpdate', rollingUpdate: more },
  });
  await cluster.make(DAEMON_SETS, 'rolled', 'ds', {
    ...workloadOf('ds', 'x:1'),
    ...strategy({ maxUnavailable: 1 }),
  });
  const done = (image: string): Promise<Pod[]> =>
    cluster.until<Pod>(
      PODS,
      'rolled',
      (pods) => pods.length === 2 && pods.every(isUp) && imagesOf(pods).join(' ') === `${image} ${image}`,
    );
  await done('x:1');
  await cluster.patch(DAEMON_SETS, 'rolled', 'ds', { spec: { template: templateOf('ds', 'x:2') } });
  await done('x:2');
  await cluster.patch(DAEMON_SETS, 'rolled', 'ds', {
    spec: { template: templateOf('ds', 'x:3'), ...strategy({ maxUnavailable: 0, maxSurge: 1 }) },
  });
  const pods = await done('x:3');
  assert.deepEqual(pods.map(({ spec }) => spec.nodeName ?? '').sort(), ['n1', 'n2']);
  await cluster.until(DAEMON_SETS, 'rolled', ([set]) => statusOf(set)['updatedNumberScheduled'] === 2);
  type Revision = KubeObject & { revision: number };
  const revisions = await cluster.until<Revision>(CONTROLLER_REVISIONS, 'rolled', (all) => all.length === 3);
  assert.deepEqual(revisions.map(({ revision }) => String(revision)).sort(), ['1', '2', '3']);
  const generations = pods.map(({ metadata }) => metadata.labels?.['pod-template-generation']);
  assert.deepEqual(generations, ['3', '3']);
});

test('a DaemonSet that is updated on delete leaves its Pods alone, and says what became of failed ones', async () => {
  await cluster.newNamespace('on-delete');
  await cluster.make(DAEMON_SETS, 'on-delete', 'ds', {
    ...workloadOf('ds', 'x:1', { updateStrategy: { type: 'OnDelete' } }),
    template: templateOf('ds', 'x:1', { nodeSelector: { 'kubernetes.io/hostname': 'n1' } }),
  });
  const [old] = await cluster.until<Pod>(PODS, 'on-delete', (pods) => pods.length === 1 && pods.every(isUp));
  await cluster.patch(DAEMON_SETS, 'on-delete', 'ds', {
    spec: { template: { spec: { containers: [{ name: 'a', image: 'fail:2' }] } } },
  });
  await cluster.until(DAEMON_SETS, 'on-delete', ([set]) => statusOf(set)['observedGeneration'] === 2);
  const [kept] = await cluster.until<Pod>(PODS, 'on-delete', (pods) => pods.length === 1);
  assert.equal(kept?.metadata.uid, old?.metadata.uid);
  await cluster.remove(PODS, 'on-delete', old?.metadata.name ?? '');
  await cluster.told(
    'on-delete',
    /^Warning FailedDaemonPod Found failed daemon pod on-delete\/ds-[a-z0-9]{5} on node n1, will try to kill it$/,
  );
});

test('the claims of a StatefulSet go with the set, or with the Pods that it no longer wants', async () => {
  await cluster.newNamespace('retained');
  const claim = {
    metadata: { name: 'data' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  };
  await cluster.make(STATEFUL_SETS, 'retained', 'web', {
    ...workloadOf('web', 'x:1', { replicas: 2, serviceName: 's' }),
    volumeClaimTemplates: [claim],
    persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Delete' },
  });
  await cluster.until<Pod>(PODS, 'retained', (pods) => pods.length === 2 && pods.every(isUp));
  await cluster.told(
    'retained',
    'Normal SuccessfulCreate Create Claim data-web-0 Pod web-0 in StatefulSet web success',
  );
  const claims = await cluster.until(CLAIMS, 'retained', (all) => all.length === 2);
  assert.deepEqual(
    claims.map(({ metadata }) => metadata.ownerReferences?.[0]?.kind),
    ['StatefulSet', 'StatefulSet'],
  );
  await cluster.patch(STATEFUL_SETS, 'retained', 'web', { spec: { replicas: 1 } });
  await cluster.told('retained', 'Normal SuccessfulDelete Delete Pod web-1 in StatefulSet web successful');
  const [left] = await cluster.until(CLAIMS, 'retained', (all) => all.length === 1);
  assert.equal(left?.metadata.name, 'data-web-0');
  await cluster.remove(STATEFUL_SETS, 'retained', 'web');
  await cluster.until(CLAIMS, 'retained', (all) => all.length === 0);
});

test('the partition of a StatefulSet counts from its first Pod', async () => {
  await cluster.newNamespace('parted');
  await cluster.make(STATEFUL_SETS, 'parted', 'web', {
    ...workloadOf('web', 'x:1', { replicas: 2, serviceName: 's', ordinals: { start: 5 } }),
    updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 1 } },
  });
  await cluster.until<Pod>(PODS, 'parted', (pods) => pods.length === 2 && pods.every(isUp));
  await cluster.patch(STATEFUL_SETS, 'parted', 'web', { spec: { template: templateOf('web', 'x:2') } });
  const pods = await cluster.until<Pod>(
    PODS,
    'parted',
    (all) => all.length === 2 && all.every(isUp) && imagesOf(all).includes('x:2'),
  );
  assert.deepEqual(
    pods.map(({ metadata, spec }) => `${metadata.name} ${spec.containers[0]?.image ?? ''}`).sort(),
    ['web-5 x:1', 'web-6 x:2'],
  );
});

test('a Deployment out of quota and out of time says both', async () => {
  await cluster.newNamespace('late');
  await cluster.make(QUOTAS, 'late', 'one', { hard: { pods: '1' } });
  await cluster.make(DEPLOYMENTS, 'late', 'web', {
    ...workloadOf('web', 'x:1', { replicas: 2, progressDeadlineSeconds: 1 }),
  });
  const wordsOf = (deployment: KubeObject | undefined): string[] =>
    ((statusOf(deployment)['conditions'] ?? []) as Record<string, string>[])
      .map(({ type, status, reason }) => `${type} ${status} ${reason}`)
      .sort();
  const expected = [
    'Available False MinimumReplicasUnavailable',
    'Progressing False ProgressDeadlineExceeded',
    'ReplicaFailure True FailedCreate',
  ];
  await cluster.until(DEPLOYMENTS, 'late', ([found]) => wordsOf(found).join() === expected.join());
});

test('a Secret for the token of an account is filled, and goes with the account', async () => {
  await cluster.newNamespace('tokens');
  const create = (type: ResourceType, object: KubeObject): Promise<KubeObject> =>
    cluster.api.client.create(type, object, cluster.signal);
  const secret = (name: string, account: string): KubeObject & { type: string } => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name,
      namespace: 'tokens',
      annotations: { 'kubernetes.io/service-account.name': account },
    },
    type: 'kubernetes.io/service-account-token',
  });
  const metadata = { name: 'robot', namespace: 'tokens' };
  const account = await create(SERVICE_ACCOUNTS, { apiVersion: 'v1', kind: 'ServiceAccount', metadata });
  await create(SECRETS, secret('of-nobody', 'nobody'));
  await create(SECRETS, secret('of-robot', 'robot'));
  type Secret = KubeObject & { data?: Record<string, string> };
  const [filled] = await cluster.until<Secret>(
    SECRETS,
    'tokens',
    (all) => all.length === 1 && all[0]?.data?.['token'] !== undefined,
  );
  const text = (key: string): string => Buffer.from(filled?.data?.[key] ?? '', 'base64').toString();
  assert.equal(text('namespace'), 'tokens');
  assert.equal(text('ca.crt'), cluster.api.pki.ca.cert);
  const uid = filled?.metadata.annotations?.['kubernetes.io/service-account.uid'];
  assert.equal(uid, account.metadata.uid);
  const answer = await cluster.api.send('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
    anonymous: true,
    headers: { authorization: `Bearer ${text('token')}` },
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
  });
  assert.match(answer.text, /"username":"system:serviceaccount:tokens:robot"/);
  await cluster.remove(SERVICE_ACCOUNTS, 'tokens', 'robot');
  await cluster.until(SECRETS, 'tokens', (all) => all.length === 0);
});

test('a ClusterRole gathers the rules of those that bear its label', async () => {
  const made = (name: string, more: object): Promise<KubeObject> =>
    cluster.api.client.create(
      CLUSTER_ROLES,
      { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name }, ...more },
      cluster.signal,
    );
  const rules = [{ apiGroups: ['example.org'], resources: ['widgets'], verbs: ['get'] }];
  await made('widget-viewer', {
    metadata: { name: 'widget-viewer', labels: { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' } },
    rules,
  });
  const roles = await cluster.until<ClusterRole>(CLUSTER_ROLES, '', (all) =>
    ['view', 'edit', 'admin'].every((name) =>
      all
        .find(({ metadata }) => metadata.name === name)
        ?.rules?.some(({ apiGroups }) => apiGroups?.includes('example.org')),
    ),
  );
  const view = roles.find(({ metadata }) => metadata.name === 'view');
  assert.deepEqual(view?.rules?.at(-1), rules[0]);
});

test('an owner in another namespace is told of and counts as absent, one in none is present', async () => {
  await cluster.newNamespace('near');
  await cluster.newNamespace('far');
  const config = (name: string, more: object): Promise<KubeObject> =>
    cluster.api.client.create(
      CONFIG_MAPS,
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...more } },
      cluster.signal,
    );
  const [node] = await cluster.until(NODES, '', (nodes) => nodes.length > 0);
  const refer = ({ apiVersion, kind, metadata }: KubeObject): object => ({
    apiVersion,
    kind,
    name: metadata.name,
    uid: metadata.uid,
  });
  const owner = await config('owner', { namespace: 'far' });
  await config('of-node', { namespace: 'near', ownerReferences: [refer(node as KubeObject)] });
  await config('owned', { namespace: 'near', ownerReferences: [refer(owner)] });
  await cluster.told(
    'near',
    `Warning OwnerRefInvalidNamespace ownerRef [v1/ConfigMap, namespace: near, name: owner, uid: ${owner.metadata.uid ?? ''}] does not exist in namespace "near"`,
  );
  const left = await cluster.until(
    CONFIG_MAPS,
    'near',
    (all) => !all.some(({ metadata }) => metadata.name === 'owned'),
  );
  assert.ok(left.some(({ metadata }) => metadata.name === 'of-node'));
});

test('custom objects own and are owned as others are', async () => {
  await cluster.newNamespace('custom');
  const group = 'example.org';
  const create = <T extends KubeObject>(type: ResourceType, object: T): Promise<T> =>
    cluster.api.client.create(type, object, cluster.signal);
  const spec = {
    group,
    scope: 'Namespaced',
    names: { plural: 'gadgets', singular: 'gadget', kind: 'Gadget' },
    versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
  };
  const definition: KubeObject & { spec: object } = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `gadgets.${group}` },
    spec,
  };
  await create(DEFINITIONS, definition);
  await cluster.until(DEFINITIONS, '', (all) =>
    ((statusOf(all[0])['conditions'] ?? []) as { type: string; status: string }[]).some(
      ({ type, status }) => type === 'Established' && status === 'True',
    ),
  );
  const gadgets: ResourceType = {
    group,
    version: 'v1',
    resource: 'gadgets',
    kind: 'Gadget',
    namespaced: true,
  };
  const refer = ({ apiVersion, kind, metadata }: KubeObject): OwnerReference => ({
    apiVersion,
    kind,
    name: metadata.name,
    uid: metadata.uid ?? '',
    blockOwnerDeletion: true,
  });
  const gadget = (name: string, owners: OwnerReference[] = []): Promise<KubeObject> =>
    create(gadgets, {
      apiVersion: `${group}/v1`,
      kind: 'Gadget',
      metadata: { name, namespace: 'custom', ownerReferences: owners },
    });
  const config = (name: string, owners: OwnerReference[]): Promise<KubeObject> =>
    create(CONFIG_MAPS, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace: 'custom', ownerReferences: owners },
    });
  const top = await gadget('top');
  const middle = await gadget('middle', [refer(top)]);
  await config('leaf', [refer(middle)]);
  const loose = await gadget('loose');
  await config('left', [refer(loose)]);
  await cluster.remove(gadgets, 'custom', 'loose', 'Orphan');
  await cluster.remove(gadgets, 'custom', 'top', 'Foreground');
  await cluster.until(gadgets, 'custom', (all) => all.length === 0);
  const configs = await cluster.until(
    CONFIG_MAPS,
    'custom',
    (all) => !all.some(({ metadata }) => metadata.name === 'leaf'),
  );
  assert.equal(configs.find(({ metadata }) => metadata.name === 'left')?.metadata.ownerReferences, undefined);
  // The last objects of a definition go with it, and what they own after them, whatever version it is named in.
  const last = await gadget('last');
  await config('of-last', [{ ...refer(last), apiVersion: `${group}/v1beta1` }]);
  await cluster.remove(DEFINITIONS, '', definition.metadata.name);
  await cluster.until(
    CONFIG_MAPS,
    'custom',
    (all) => !all.some(({ metadata }) => metadata.name === 'of-last'),
  );
});
