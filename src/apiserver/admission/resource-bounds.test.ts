import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestApi, type RawAnswer, type TestApi } from '../../../test/support/test-api.ts';

let api: TestApi;
let count = 0;

before(async () => {
  api = await startTestApi();
});
after(() => api.close());

async function namespace(): Promise<string> {
  const name = `n${count++}`;
  await api.send('POST', '/api/v1/namespaces', {
    body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name } },
  });
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
  const made = await api.send('POST', `/api/v1/namespaces/${name}/serviceaccounts`, { body: account });
  assert.equal(made.code, 201, made.text);
  return `/api/v1/namespaces/${name}`;
}

async function create(
  path: string,
  kind: string,
  name: string,
  spec: object,
  apiVersion = 'v1',
): Promise<RawAnswer> {
  return api.send('POST', path, { body: { apiVersion, kind, metadata: { name }, spec } });
}

interface Container {
  name?: string;
  requests?: Record<string, string>;
  limits?: Record<string, string>;
}

function pod(at: string, name: string, container: Container = {}, more: object = {}): Promise<RawAnswer> {
  const { requests = {}, limits = {}, name: called = 'c' } = container;
  const containers = [{ name: called, image: 'i', resources: { requests, limits } }];
  return create(`${at}/pods`, 'Pod', name, { containers, ...more });
}

const messageOf = (answer: RawAnswer): string => answer.json<{ message: string }>().message;

async function used(at: string, name = 'q'): Promise<Record<string, string>> {
  return (await api.send('GET', `${at}/resourcequotas/${name}`)).json<{
    status: { used: Record<string, string> };
  }>().status.used;
}

/** Waits for the quota to count what is gone, by watching it. */
async function usedBecomes(at: string, expected: Record<string, string>): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const now = await used(at);
    try {
      assert.deepEqual(now, expected);
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await api.send('GET', `${at}/resourcequotas?watch=true&timeoutSeconds=1&resourceVersion=0`);
  }
}

test('a LimitRange fills in what containers leave open and says so on the Pod', async () => {
  const at = await namespace();
  const limits = [
    { type: 'Container', default: { cpu: '500m', memory: '1Gi' }, defaultRequest: { cpu: '100m' } },
  ];
  const range = await create(`${at}/limitranges`, 'LimitRange', 'r', { limits });
  assert.deepEqual(range.json<{ spec: { limits: object[] } }>().spec.limits[0], {
    type: 'Container',
    default: { cpu: '500m', memory: '1Gi' },
    defaultRequest: { cpu: '100m', memory: '1Gi' },
  });
  const { metadata, spec } = (await pod(at, 'p', { limits: { cpu: '2' } })).json<{
    metadata: { annotations: Record<string, string> };
    spec: { containers: { resources: object }[] };
  }>();
  assert.deepEqual(spec.containers[0]?.resources, {
    limits: { cpu: '2', memory: '1Gi' },
    requests: { cpu: '2', memory: '1Gi' },
  });
  assert.equal(
    metadata.annotations['kubernetes.io/limit-ranger'],
    'LimitRanger plugin set: memory request for container c; memory limit for container c',
  );
});

test('a LimitRange refuses what is too little, too much or too far apart', async () => {
  const at = await namespace();
  const limits = [
    { type: 'Container', min: { cpu: '100m' }, max: { cpu: '1' }, maxLimitRequestRatio: { cpu: '4' } },
    { type: 'Pod', max: { memory: '1Gi' } },
    { type: 'PersistentVolumeClaim', min: { storage: '1Gi' }, max: { storage: '2Gi' } },
  ];
  await create(`${at}/limitranges`, 'LimitRange', 'r', { limits });
  const fits = { requests: { cpu: '500m' }, limits: { cpu: '1', memory: '1Gi' } };
  assert.equal((await pod(at, 'fits', fits)).code, 201);
  const cases: readonly (readonly [Container, string])[] = [
    [
      { requests: { cpu: '50m' }, limits: { cpu: '100m', memory: '1' } },
      'minimum cpu usage per Container is 100m, but request is 50m',
    ],
    [
      { requests: { cpu: '1' }, limits: { cpu: '2', memory: '1' } },
      'maximum cpu usage per Container is 1, but limit is 2',
    ],
    [
      { requests: { cpu: '200m' }, limits: { cpu: '1', memory: '1' } },
      'cpu max limit to request ratio per Container is 4, but provided ratio is 5.000000',
    ],
    [
      { requests: { cpu: '1' }, limits: { cpu: '1' } },
      'maximum memory usage per Pod is 1Gi.  No limit is specified',
    ],
    [
      { requests: { cpu: '50m' }, limits: { cpu: '2', memory: '2Gi' } },
      '[minimum cpu usage per Container is 100m, but request is 50m, maximum cpu usage per Container is 1, but limit is 2, cpu max limit to request ratio per Container is 4, but provided ratio is 40.000000, maximum memory usage per Pod is 1Gi, but limit is 2Gi]',
    ],
  ];
  for (const [container, why] of cases) {
    const answer = await pod(at, 'p', container);
    assert.equal(answer.code, 403);
    assert.equal(messageOf(answer), `pods "p" is forbidden: ${why}`);
  }
  const claim = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '3Gi' } } };
  assert.equal(
    messageOf(await create(`${at}/persistentvolumeclaims`, 'PersistentVolumeClaim', 'c', claim)),
    'persistentvolumeclaims "c" is forbidden: maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi',
  );
});

test('a ResourceQuota counts what is there, refuses what goes beyond, and gives back what is gone', async () => {
  const at = await namespace();
  await create(`${at}/configmaps`, 'ConfigMap', 'there', {});
  const hard = { pods: '2', 'requests.cpu': '1', configmaps: '2', 'count/deployments.apps': '1' };
  await create(`${at}/resourcequotas`, 'ResourceQuota', 'q', { hard });
  assert.deepEqual(await used(at), {
    pods: '0',
    'requests.cpu': '0',
    configmaps: '1',
    'count/deployments.apps': '0',
  });
  assert.equal(
    messageOf(await pod(at, 'p')),
    'pods "p" is forbidden: failed quota: q: must specify requests.cpu for: c',
  );
  assert.equal((await pod(at, 'a', { requests: { cpu: '600m' } })).code, 201);
  assert.equal(
    messageOf(await pod(at, 'b', { requests: { cpu: '500m' } })),
    'pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=500m, used: requests.cpu=600m, limited: requests.cpu=1',
  );
  assert.equal((await pod(at, 'b', { requests: { cpu: '400m' } })).code, 201);
  assert.equal(
    messageOf(await pod(at, 'c', { requests: { cpu: '1' } })),
    'pods "c" is forbidden: exceeded quota: q, requested: pods=1,requests.cpu=1, used: pods=2,requests.cpu=1, limited: pods=2,requests.cpu=1',
  );
  await api.send('DELETE', `${at}/pods/a`);
  await usedBecomes(at, {
    pods: '1',
    'requests.cpu': '400m',
    configmaps: '1',
    'count/deployments.apps': '0',
  });
  const table = await api.send('GET', `${at}/resourcequotas`, {
    accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
  });
  const { rows } = table.json<{ rows: { cells: unknown[] }[] }>();
  assert.equal(
    rows[0]?.cells[1],
    'configmaps: 1/2, count/deployments.apps: 0/1, pods: 1/2, requests.cpu: 400m/1',
  );
});

test('of many that want the last of a quota at once, as many get it as there is', async () => {
  const at = await namespace();
  await create(`${at}/resourcequotas`, 'ResourceQuota', 'q', { hard: { configmaps: '5' } });
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) => create(`${at}/configmaps`, 'ConfigMap', `m${index}`, {})),
  );
  assert.equal(answers.filter(({ code }) => code === 201).length, 5);
  const dry = await api.send('POST', `${at}/configmaps?dryRun=All`, {
    body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'dry' } },
  });
  assert.equal(dry.code, 403);
});

test('scopes choose the Pods that a quota is about', async () => {
  const at = await namespace();
  await create(`${at}/resourcequotas`, 'ResourceQuota', 'q', { hard: { pods: '1' }, scopes: ['BestEffort'] });
  const selector = {
    matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In', values: ['system-node-critical'] }],
  };
  await create(`${at}/resourcequotas`, 'ResourceQuota', 'high', {
    hard: { pods: '0' },
    scopeSelector: selector,
  });
  assert.equal((await pod(at, 'a')).code, 201);
  assert.equal((await pod(at, 'b')).code, 403);
  const fits = { requests: { cpu: '1' } };
  assert.equal((await pod(at, 'c', fits)).code, 201);
  assert.match(
    messageOf(await pod(at, 'd', fits, { priorityClassName: 'system-node-critical' })),
    /exceeded quota: high/,
  );
});

test('priority classes give Pods their priority; one of them may be the default', async () => {
  const at = await namespace();
  const classes = '/apis/scheduling.k8s.io/v1/priorityclasses';
  const make = (name: string, rest: object): Promise<RawAnswer> =>
    api.send('POST', classes, {
      body: { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name }, ...rest },
    });
  assert.equal((await make('high', { value: 1000, preemptionPolicy: 'Never' })).code, 201);
  interface Spec {
    spec: { priority: number; preemptionPolicy: string; priorityClassName?: string };
  }
  const specOf = (answer: RawAnswer): Spec['spec'] => answer.json<Spec>().spec;
  const high = specOf(await pod(at, 'a', {}, { priorityClassName: 'high' }));
  assert.deepEqual([high.priority, high.preemptionPolicy], [1000, 'Never']);
  assert.equal(
    messageOf(await pod(at, 'b', {}, { priorityClassName: 'none' })),
    'pods "b" is forbidden: no PriorityClass with name none was found',
  );
  assert.equal(
    messageOf(await pod(at, 'b', {}, { priorityClassName: 'high', priority: 1 })),
    'pods "b" is forbidden: the integer value of priority (1) must not be provided in pod spec; priority admission controller computed 1000 from the given PriorityClass name',
  );
  assert.equal((await make('usual', { value: 10, globalDefault: true })).code, 201);
  assert.equal(
    messageOf(await make('other', { value: 11, globalDefault: true })),
    'priorityclasses.scheduling.k8s.io "other" is forbidden: PriorityClass usual is already marked as default. Only one default can exist',
  );
  const usual = specOf(await pod(at, 'c'));
  assert.deepEqual([usual.priority, usual.priorityClassName], [10, 'usual']);
  const refused: readonly (readonly [string, object, RegExp])[] = [
    [
      'system-mine',
      { value: 1 },
      /metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-mine is not a known system priority class$/,
    ],
    [
      'huge',
      { value: 1_000_000_001 },
      /value: Forbidden: maximum allowed value of a user defined priority is 1000000000$/,
    ],
  ];
  for (const [name, rest, why] of refused) assert.match(messageOf(await make(name, rest)), why);
  const changed = await api.send('PATCH', `${classes}/high`, {
    contentType: 'application/merge-patch+json',
    body: { value: 5 },
  });
  assert.match(messageOf(changed), /value: Forbidden: may not be changed in an update\.$/);
  for (const name of ['usual', 'high']) await api.send('DELETE', `${classes}/${name}`);
});

test('a runtime class adds its cost and its place; a default storage class is named in claims', async () => {
  const at = await namespace();
  const body = {
    apiVersion: 'node.k8s.io/v1',
    kind: 'RuntimeClass',
    metadata: { name: 'box' },
    handler: 'box',
    overhead: { podFixed: { cpu: '100m' } },
    scheduling: { nodeSelector: { box: 'yes' } },
  };
  assert.equal((await api.send('POST', '/apis/node.k8s.io/v1/runtimeclasses', { body })).code, 201);
  const { spec } = (await pod(at, 'a', {}, { runtimeClassName: 'box' })).json<{
    spec: Record<string, unknown>;
  }>();
  assert.deepEqual([spec['overhead'], spec['nodeSelector']], [{ cpu: '100m' }, { box: 'yes' }]);
  assert.equal(
    messageOf(await pod(at, 'b', {}, { runtimeClassName: 'none' })),
    'pods "b" is forbidden: pod rejected: RuntimeClass "none" not found',
  );
  const annotations = { 'storageclass.kubernetes.io/is-default-class': 'true' };
  const storage = {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: 'fast', annotations },
    provisioner: 'x/y',
  };
  assert.equal(
    (await api.send('POST', '/apis/storage.k8s.io/v1/storageclasses', { body: storage })).code,
    201,
  );
  const claim = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
  const made = await create(`${at}/persistentvolumeclaims`, 'PersistentVolumeClaim', 'c', claim);
  assert.equal(made.json<{ spec: { storageClassName: string } }>().spec.storageClassName, 'fast');
});
