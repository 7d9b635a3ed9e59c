import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../kube/pod.ts';
import type { Node } from './scheduling-fit.ts';
import { claimFault, delayedClaims, volumeJudges, type Storage } from './scheduling-volumes.ts';
import type { Claim, StorageClass, Volume } from './volume-objects.ts';

const node = (name: string, labels: Record<string, string> = {}): Node => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels } },
});
const pod = (name: string, volume: object = { persistentVolumeClaim: { claimName: 'c' } }): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'demo', uid: name },
  spec: { containers: [], volumes: [{ name: 'v', ...volume }] },
});
function claim(phase: string, spec: Partial<Claim['spec']> = {}, metadata: object = {}): Claim {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'c', namespace: 'demo', uid: 'claim', ...metadata },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
    status: { phase },
  };
}
function volume(name: string, host: string | undefined, more: object = {}): Volume {
  const terms = [
    { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [host ?? ''] }] },
  ];
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: {
      accessModes: ['ReadWriteOnce'],
      capacity: { storage: '1Gi' },
      storageClassName: 'local',
      ...(host === undefined ? {} : { nodeAffinity: { required: { nodeSelectorTerms: terms } } }),
    },
    ...more,
  };
}
const LOCAL: StorageClass = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: 'local' },
  provisioner: 'kubernetes.io/no-provisioner',
  volumeBindingMode: 'WaitForFirstConsumer',
};
function storage(found: Claim | undefined, more: Partial<Storage> = {}): Storage {
  return {
    claim: (_namespace, name) => (found?.metadata.name === name ? found : undefined),
    volumes: [],
    storageClass: (name) => (name === 'local' ? LOCAL : undefined),
    placed: new Map(),
    ...more,
  };
}

const EPHEMERAL = { ephemeral: { volumeClaimTemplate: { spec: {} } } };
const owner = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'p', controller: true };
const FAULTS: readonly (readonly [string, Claim | undefined, string | undefined, object?])[] = [
  ['no claim', undefined, 'persistentvolumeclaim "c" not found'],
  [
    'a claim whose volume is gone',
    claim('Lost', { volumeName: 'gone' }),
    'persistentvolumeclaim "c" bound to non-existent persistentvolume "gone"',
  ],
  [
    'a claim on its way out',
    claim('Bound', {}, { deletionTimestamp: '2026-01-01T00:00:00Z' }),
    'persistentvolumeclaim "c" is being deleted',
  ],
  ['a claim without a volume', claim('Pending'), 'pod has unbound immediate PersistentVolumeClaims'],
  ['a claim that waits for its Pod', claim('Pending', { storageClassName: 'local' }), undefined],
  ['a bound claim', claim('Bound'), undefined],
  [
    'a claim still to be made',
    undefined,
    'waiting for ephemeral volume controller to create the persistentvolumeclaim "p-v"',
    EPHEMERAL,
  ],
  [
    'a claim of that name of somebody else',
    claim('Bound', {}, { name: 'p-v' }),
    'PVC demo/p-v was not created for pod demo/p (pod is not owner)',
    EPHEMERAL,
  ],
  ['its own claim', claim('Bound', {}, { name: 'p-v', ownerReferences: [owner] }), undefined, EPHEMERAL],
];
for (const [name, found, why, own] of FAULTS) {
  test(`what keeps a Pod from every node: ${name}`, () => {
    assert.equal(claimFault(pod('p', own), storage(found)), why);
  });
}

const whyOn = (where: Node, using: Pod, around: Storage): string | undefined =>
  volumeJudges(using, around)
    .map((judge) => judge(where))
    .find((misfit) => misfit !== undefined)?.reasons[0];

test('a bound claim ties its Pod to the nodes of its volume, and to a volume that is there', () => {
  const bound = claim('Bound', { volumeName: 'v1' });
  const around = storage(bound, { volumes: [volume('v1', 'n1')] });
  assert.equal(whyOn(node('n1'), pod('p'), around), undefined);
  assert.equal(whyOn(node('n2'), pod('p'), around), "node(s) didn't match PersistentVolume's node affinity");
  assert.equal(
    whyOn(node('n1'), pod('p'), storage(bound)),
    'node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)',
  );
});

test('a volume of a zone keeps its Pod in it, among nodes that know zones', () => {
  const zone = 'topology.kubernetes.io/zone';
  const zoned = volume('v1', undefined, { metadata: { name: 'v1', labels: { [zone]: 'a__b' } } });
  const around = storage(claim('Bound', { volumeName: 'v1' }), { volumes: [zoned] });
  assert.equal(whyOn(node('n', { [zone]: 'b' }), pod('p'), around), undefined);
  assert.equal(whyOn(node('n', { [zone]: 'c' }), pod('p'), around), 'node(s) had no available volume zone');
  assert.equal(whyOn(node('n'), pod('p'), around), undefined);
});

test('a claim that waits for its Pod is for nodes with a free volume', () => {
  const waiting = claim('Pending', { storageClassName: 'local' });
  const around = storage(waiting, { volumes: [volume('v1', 'n1'), volume('v2', 'n2')] });
  assert.deepEqual(delayedClaims(pod('p'), around), [waiting]);
  assert.equal(whyOn(node('n1'), pod('p'), around), undefined);
  assert.equal(
    whyOn(node('n3'), pod('p'), around),
    "node(s) didn't find available persistent volumes to bind",
  );
});

test('a claim for one Pod at a time refuses the second', () => {
  const alone = claim('Bound', { volumeName: 'v1', accessModes: ['ReadWriteOncePod'] });
  const around = storage(alone, {
    volumes: [volume('v1', undefined)],
    placed: new Map([['n1', [pod('first')]]]),
  });
  assert.equal(
    whyOn(node('n2'), pod('p'), around),
    'node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode',
  );
  assert.equal(whyOn(node('n2'), pod('first'), around), undefined);
});
