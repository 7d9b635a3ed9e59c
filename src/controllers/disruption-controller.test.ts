import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestApi, type RawAnswer, type TestApi } from '../../test/support/test-api.ts';
import { startTestNode } from '../../test/support/test-node.ts';
import { startControllers } from './start-controllers.ts';

const PDBS = '/apis/policy/v1/namespaces/default/poddisruptionbudgets';
const PODS = '/api/v1/namespaces/default/pods';
const stop = new AbortController();
let api: TestApi;
let node: { stopped: Promise<void> };

before(async () => {
  api = await startTestApi();
  await startControllers(api.client, { rootCa: api.pki.ca.cert }, stop.signal).ready();
  node = await startTestNode(api, 'n1', stop.signal);
});
after(async () => {
  stop.abort();
  await node.stopped;
  await api.close();
});

interface Status {
  disruptionsAllowed: number;
  currentHealthy: number;
  desiredHealthy: number;
  expectedPods: number;
}

async function send(method: string, path: string, body?: object): Promise<RawAnswer> {
  return api.send(method, path, body === undefined ? {} : { body });
}

async function statusBecomes(name: string, expected: Status): Promise<void> {
  for (let round = 0; round < 100; round++) {
    const answer = await send('GET', `${PDBS}/${name}`);
    const { metadata, status } = answer.json<{
      metadata: { resourceVersion: string };
      status: Partial<Status>;
    }>();
    const { disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods } = status;
    const now = { disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods };
    try {
      assert.deepEqual(now, expected);
      return;
    } catch (error) {
      if (round === 20) throw error;
    }
    const { resourceVersion } = metadata;
    await send('GET', `${PDBS}?watch=true&timeoutSeconds=1&resourceVersion=${resourceVersion}`);
  }
}

async function evict(pod: string, query = ''): Promise<RawAnswer> {
  const body = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: pod, namespace: 'default' } };
  return send('POST', `${PODS}/${pod}/eviction${query}`, body);
}

test('a budget lets as many Pods be evicted as it can spare, and says why no more', async () => {
  const template = {
    metadata: { labels: { app: 'web' } },
    spec: { containers: [{ name: 'c', image: 'i' }], terminationGracePeriodSeconds: 0 },
  };
  await send('POST', '/apis/apps/v1/namespaces/default/deployments', {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: { replicas: 3, selector: { matchLabels: { app: 'web' } }, template },
  });
  const made = await send('POST', PDBS, {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: 'web' },
    spec: { maxUnavailable: '34%', selector: { matchLabels: { app: 'web' } } },
  });
  assert.equal(made.code, 201, made.text);
  await statusBecomes('web', {
    disruptionsAllowed: 2,
    currentHealthy: 3,
    desiredHealthy: 1,
    expectedPods: 3,
  });
  await api.send('PATCH', `${PDBS}/web`, {
    contentType: 'application/merge-patch+json',
    body: { spec: { maxUnavailable: 0 } },
  });
  await statusBecomes('web', {
    disruptionsAllowed: 0,
    currentHealthy: 3,
    desiredHealthy: 3,
    expectedPods: 3,
  });
  const { items } = (await send('GET', `${PODS}?labelSelector=app=web`)).json<{
    items: { metadata: { name: string } }[];
  }>();
  const [first] = items.map(({ metadata }) => metadata.name);
  assert.ok(first);
  const refused = await evict(first);
  assert.equal(refused.code, 429);
  const status = refused.json<{ message: string; reason: string; details: { causes: object[] } }>();
  assert.equal(status.message, "Cannot evict pod as it would violate the pod's disruption budget.");
  assert.equal(status.reason, 'TooManyRequests');
  assert.deepEqual(status.details.causes, [
    {
      reason: 'DisruptionBudget',
      message: 'The disruption budget web needs 3 healthy pods and has 3 currently',
    },
  ]);
  await api.send('PATCH', `${PDBS}/web`, {
    contentType: 'application/merge-patch+json',
    body: { spec: { maxUnavailable: 1 } },
  });
  await statusBecomes('web', {
    disruptionsAllowed: 1,
    currentHealthy: 3,
    desiredHealthy: 2,
    expectedPods: 3,
  });
  assert.equal((await evict(first, '?dryRun=All')).code, 201);
  assert.equal((await evict(first)).code, 201);
  await statusBecomes('web', {
    disruptionsAllowed: 1,
    currentHealthy: 3,
    desiredHealthy: 2,
    expectedPods: 3,
  });
});

test('a Pod that two budgets cover cannot be evicted, one that is still waiting can', async () => {
  const labels = { app: 'lone' };
  const pod = (name: string, nodeName?: string): object => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels },
    spec: {
      containers: [{ name: 'c', image: 'i' }],
      ...(nodeName === undefined ? { nodeSelector: { no: 'where' } } : { nodeName }),
    },
  });
  await send('POST', PODS, pod('waits'));
  for (const name of ['one', 'two']) {
    await send('POST', PDBS, {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name },
      spec: { minAvailable: 1, selector: { matchLabels: labels } },
    });
  }
  assert.equal((await evict('waits')).code, 201);
  await send('POST', PODS, pod('runs', 'n1'));
  await statusBecomes('one', {
    disruptionsAllowed: 0,
    currentHealthy: 1,
    desiredHealthy: 1,
    expectedPods: 1,
  });
  const answer = await evict('runs');
  assert.equal(answer.code, 500);
  assert.match(
    answer.text,
    /This pod has more than one PodDisruptionBudget, which the eviction subresource does not support\./,
  );
});

test('a budget says when it covers nobody, Pods of nobody, or Pods whose number nobody knows', async () => {
  const budget = (name: string, spec: object): Promise<RawAnswer> =>
    send('POST', PDBS, {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name },
      spec: { selector: { matchLabels: { app: name } }, ...spec },
    });
  const told = async (reason: string, message: string): Promise<void> => {
    interface Event {
      reason: string;
      message: string;
    }
    const events = '/api/v1/namespaces/default/events';
    for (let round = 0; round < 20; round++) {
      const answer = (await send('GET', events)).json<{
        items: Event[];
        metadata: { resourceVersion: string };
      }>();
      if (answer.items.some((event) => event.reason === reason && event.message === message)) return;
      const since = answer.metadata.resourceVersion;
      await send('GET', `${events}?watch=true&timeoutSeconds=1&resourceVersion=${since}`);
    }
    assert.fail(`never told: ${reason} ${message}`);
  };
  await budget('nobody', { minAvailable: 1 });
  await told('NoPods', 'No matching pods found');
  const containers = [{ name: 'c', image: 'i' }];
  await send('POST', PODS, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'stray', labels: { app: 'stray' } },
    spec: { containers },
  });
  await budget('stray', { maxUnavailable: 1 });
  await told(
    'UnmanagedPods',
    'Pods selected by this PodDisruptionBudget (selector: &LabelSelector{MatchLabels:map[string]string{app: stray,},MatchExpressions:[]LabelSelectorRequirement{},}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.',
  );
  await send('POST', '/apis/batch/v1/namespaces/default/jobs', {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'job' },
    spec: {
      template: { metadata: { labels: { app: 'job' } }, spec: { containers, restartPolicy: 'Never' } },
    },
  });
  await budget('job', { maxUnavailable: 1 });
  const fault = 'jobs.batch does not implement the scale subresource';
  await told('CalculateExpectedPodCountFailed', `Failed to calculate the number of expected pods: ${fault}`);
  const { status } = (await send('GET', `${PDBS}/job`)).json<{
    status: { disruptionsAllowed: number; conditions: { reason: string; message: string }[] };
  }>();
  assert.equal(status.disruptionsAllowed, 0);
  assert.deepEqual(
    status.conditions.map(({ reason, message }) => [reason, message]),
    [['SyncFailed', fault]],
  );
});
