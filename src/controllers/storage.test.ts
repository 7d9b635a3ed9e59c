import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestCluster, statusOf, type TestCluster } from '../../test/support/test-cluster.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import { CLAIMS, PODS, STORAGE_CLASSES, VOLUMES } from './resource-types.ts';
import type { Claim, Volume } from './volume-objects.ts';

/* Claims and volumes on two nodes; nothing is mounted. */

let cluster: TestCluster;
before(async () => {
  cluster = await startTestCluster({ n1: {}, n2: {} });
});
after(() => cluster.close());

const REQUEST = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
const podWith = (volume: object): object => ({
  containers: [{ name: 'a', image: 'x:1' }],
  volumes: [{ name: 'data', ...volume }],
});
const using = (claimName: string): object => podWith({ persistentVolumeClaim: { claimName } });
const phaseOf = (object: KubeObject | undefined): unknown => statusOf(object)['phase'];
const byName = <T extends KubeObject>(objects: readonly T[], name: string): T | undefined =>
  objects.find(({ metadata }) => metadata.name === name);

async function claimIs(namespace: string, name: string, phase: string): Promise<Claim> {
  const claims = await cluster.until<Claim>(CLAIMS, namespace, (all) => phaseOf(byName(all, name)) === phase);
  return byName(claims, name) ?? assert.fail(name);
}

async function volumeIs(name: string, holds: (volume: Volume | undefined) => boolean): Promise<Volume> {
  const volumes = await cluster.until<Volume>(VOLUMES, '', (all) => holds(byName(all, name)));
  return byName(volumes, name) ?? ({} as Volume);
}

const makeVolume = (name: string, spec: object): Promise<KubeObject> =>
  cluster.make(VOLUMES, '', name, {
    accessModes: ['ReadWriteOnce'],
    capacity: { storage: '1Gi' },
    hostPath: { path: '/none' },
    ...spec,
  });

test('a directory is made for a claim and goes with it, but not while a Pod uses it', async () => {
  await cluster.newNamespace('made');
  await cluster.make(CLAIMS, 'made', 'c', REQUEST);
  const claim = await claimIs('made', 'c', 'Bound');
  const volumeName = claim.spec.volumeName ?? '';
  assert.deepEqual(claim.metadata.annotations, {
    'pv.kubernetes.io/bind-completed': 'yes',
    'pv.kubernetes.io/bound-by-controller': 'yes',
    'volume.beta.kubernetes.io/storage-provisioner': 'drayage.dev/directory',
    'volume.kubernetes.io/storage-provisioner': 'drayage.dev/directory',
  });
  assert.deepEqual(claim.metadata.finalizers, ['kubernetes.io/pvc-protection']);
  const volume = await volumeIs(volumeName, (found) => phaseOf(found) === 'Bound');
  assert.deepEqual(volume.metadata.annotations, {
    'pv.kubernetes.io/bound-by-controller': 'yes',
    'pv.kubernetes.io/provisioned-by': 'drayage.dev/directory',
  });
  assert.deepEqual(volume.metadata.finalizers, ['kubernetes.io/pv-protection']);
  assert.equal(typeof statusOf(volume)['lastPhaseTransitionTime'], 'string');

  await cluster.make(PODS, 'made', 'p', using('c'));
  await cluster.until<Pod>(PODS, 'made', ([pod]) => pod?.status?.phase === 'Running');
  await cluster.remove(CLAIMS, 'made', 'c');
  await cluster.remove(VOLUMES, '', volumeName);
  const kept = await claimIs('made', 'c', 'Bound');
  assert.notEqual(kept.metadata.deletionTimestamp, undefined);
  await cluster.make(PODS, 'made', 'late', using('c'));
  await cluster.told(
    'made',
    /^Warning FailedScheduling 0\/2 nodes are available: persistentvolumeclaim "c" is being deleted\. /,
  );
  await cluster.remove(PODS, 'made', 'p');
  await cluster.until(CLAIMS, 'made', (all) => all.length === 0);
  await cluster.until(VOLUMES, '', (all) => byName(all, volumeName) === undefined);
});

test('a claim takes the smallest volume that suits it, or the one it names, or says why not', async () => {
  await cluster.newNamespace('found');
  await makeVolume('found-big', { storageClassName: 'by-hand', capacity: { storage: '5Gi' } });
  await makeVolume('found-small', { storageClassName: 'by-hand', capacity: { storage: '2Gi' } });
  await volumeIs('found-small', (volume) => phaseOf(volume) === 'Available');
  await cluster.make(CLAIMS, 'found', 'c', { ...REQUEST, storageClassName: 'by-hand' });
  const claim = await claimIs('found', 'c', 'Bound');
  assert.equal(claim.spec.volumeName, 'found-small');
  assert.deepEqual(claim.status?.capacity, { storage: '2Gi' });
  const bound = await volumeIs('found-small', (volume) => phaseOf(volume) === 'Bound');
  assert.equal(bound.metadata.annotations?.['pv.kubernetes.io/bound-by-controller'], 'yes');

  const named = { ...REQUEST, storageClassName: 'by-hand' };
  await cluster.make(CLAIMS, 'found', 'second', { ...named, volumeName: 'found-small' });
  await cluster.told(
    'found',
    'Warning FailedBinding volume "found-small" already bound to a different claim.',
  );
  const large = { ...named, resources: { requests: { storage: '9Gi' } }, volumeName: 'found-big' };
  await cluster.make(CLAIMS, 'found', 'large', large);
  await cluster.told(
    'found',
    'Warning VolumeMismatch Cannot bind to requested volume "found-big": requested PV is too small',
  );
  await cluster.make(CLAIMS, 'found', 'none', { ...REQUEST, storageClassName: '' });
  await cluster.told(
    'found',
    'Normal FailedBinding no persistent volumes available for this claim and no storage class is set',
  );
  await cluster.remove(CLAIMS, 'found', 'c');
  await volumeIs('found-small', (volume) => phaseOf(volume) === 'Released');
});

test('a volume kept for a claim goes to no other, and a claim whose volume is gone is lost', async () => {
  await cluster.newNamespace('reserved');
  await makeVolume('kept', {
    storageClassName: 'reserved',
    claimRef: { namespace: 'reserved', name: 'mine' },
  });
  await volumeIs('kept', (volume) => phaseOf(volume) === 'Available');
  await cluster.make(CLAIMS, 'reserved', 'mine', { ...REQUEST, storageClassName: 'reserved' });
  const claim = await claimIs('reserved', 'mine', 'Bound');
  assert.equal(claim.spec.volumeName, 'kept');
  const volume = await volumeIs('kept', (found) => phaseOf(found) === 'Bound');
  assert.equal(volume.metadata.annotations, undefined, 'it was not found but given');
  await cluster.patch(VOLUMES, '', 'kept', { metadata: { finalizers: null } });
  await cluster.remove(VOLUMES, '', 'kept').catch(() => undefined);
  await cluster.patch(VOLUMES, '', 'kept', { metadata: { finalizers: null } }).catch(() => undefined);
  await claimIs('reserved', 'mine', 'Lost');
  await cluster.told(
    'reserved',
    'Warning ClaimLost Bound claim has lost its PersistentVolume. Data on the volume is lost!',
  );
});

test('a claim of a class that waits follows its Pod, and the Pod the volume', async () => {
  await cluster.newNamespace('waiting');
  await cluster.api.client.create(
    STORAGE_CLASSES,
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'local' },
      provisioner: 'kubernetes.io/no-provisioner',
      volumeBindingMode: 'WaitForFirstConsumer',
    } as KubeObject,
    cluster.signal,
  );
  const local = { ...REQUEST, storageClassName: 'local' };
  await cluster.make(CLAIMS, 'waiting', 'c', local);
  await cluster.told(
    'waiting',
    'Normal WaitForFirstConsumer waiting for first consumer to be created before binding',
  );
  await cluster.make(PODS, 'waiting', 'p', using('c'));
  await cluster.told(
    'waiting',
    /^Warning FailedScheduling 0\/2 nodes are available: 2 node\(s\) didn't find available persistent volumes to bind\. /,
  );
  const here = { key: 'kubernetes.io/hostname', operator: 'In', values: ['n2'] };
  await makeVolume('on-n2', {
    storageClassName: 'local',
    nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [here] }] } },
  });
  const [pod] = await cluster.until<Pod>(PODS, 'waiting', ([found]) => found?.status?.phase === 'Running');
  assert.equal(pod?.spec.nodeName, 'n2');
  const claim = await claimIs('waiting', 'c', 'Bound');
  assert.equal(claim.spec.volumeName, 'on-n2');
});

test('a claim that is made where its Pod goes says which node that is', async () => {
  await cluster.newNamespace('dynamic');
  await cluster.api.client.create(
    STORAGE_CLASSES,
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'late' },
      provisioner: 'drayage.dev/directory',
      reclaimPolicy: 'Retain',
      volumeBindingMode: 'WaitForFirstConsumer',
    } as KubeObject,
    cluster.signal,
  );
  await cluster.make(CLAIMS, 'dynamic', 'c', { ...REQUEST, storageClassName: 'late' });
  const selector = { nodeSelector: { 'kubernetes.io/hostname': 'n1' } };
  await cluster.make(PODS, 'dynamic', 'p', { ...using('c'), ...selector });
  await cluster.until<Pod>(PODS, 'dynamic', ([found]) => found?.status?.phase === 'Running');
  const claim = await claimIs('dynamic', 'c', 'Bound');
  assert.equal(claim.metadata.annotations?.['volume.kubernetes.io/selected-node'], 'n1');
  const volume = await volumeIs(claim.spec.volumeName ?? '', (found) => phaseOf(found) === 'Bound');
  assert.equal(volume.spec.persistentVolumeReclaimPolicy, 'Retain');
});

test('a Pod brings its own claim, which belongs to it and goes with it', async () => {
  await cluster.newNamespace('brought');
  const template = { metadata: { labels: { kind: 'scratch' } }, spec: REQUEST };
  const spec = podWith({ ephemeral: { volumeClaimTemplate: template } });
  await cluster.make(PODS, 'brought', 'p', spec);
  await cluster.until<Pod>(PODS, 'brought', ([pod]) => pod?.status?.phase === 'Running');
  const claim = await claimIs('brought', 'p-data', 'Bound');
  assert.deepEqual(claim.metadata.labels, { kind: 'scratch' });
  const [owner] = claim.metadata.ownerReferences ?? [];
  assert.deepEqual(
    [owner?.kind, owner?.name, owner?.controller, owner?.blockOwnerDeletion],
    ['Pod', 'p', true, true],
  );
  await cluster.remove(PODS, 'brought', 'p');
  await cluster.until(CLAIMS, 'brought', (all) => all.length === 0);

  await cluster.make(CLAIMS, 'brought', 'other-data', REQUEST);
  await cluster.make(PODS, 'brought', 'other', spec);
  await cluster.told(
    'brought',
    'Warning FailedBinding ephemeral volume data: PVC brought/other-data was not created for pod brought/other (pod is not owner)',
  );
});
