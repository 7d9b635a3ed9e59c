import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestApi, type TestApi } from '../../test/support/test-api.ts';
import { startControllers } from './start-controllers.ts';

const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments';
const OLDER = '/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers';
const NEWER = '/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers';
const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';
const stop = new AbortController();
let api: TestApi;

before(async () => {
  api = await startTestApi();
  await startControllers(api.client, { rootCa: api.pki.ca.cert }, stop.signal).ready();
});
after(async () => {
  stop.abort();
  await api.close();
});

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

interface Autoscaler {
  readonly metadata: { readonly resourceVersion: string; readonly annotations?: Record<string, string> };
  readonly spec: Record<string, unknown>;
  readonly status: {
    readonly conditions?: readonly Condition[];
    readonly currentReplicas?: number;
    readonly desiredReplicas?: number;
  };
}

const name = (is: string): { name: string; namespace: string } => ({ name: is, namespace: 'default' });

async function deploy(called: string, replicas: number): Promise<void> {
  const labels = { app: called };
  const containers = [{ name: 'a', image: 'a' }];
  const spec = {
    replicas,
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers } },
  };
  const body = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: name(called), spec };
  assert.equal((await api.send('POST', DEPLOYMENTS, { body })).code, 201);
}

async function autoscale(called: string, spec: object, path = NEWER): Promise<void> {
  const body = {
    kind: 'HorizontalPodAutoscaler',
    metadata: name(called),
    spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: called }, ...spec },
  };
  const answer = await api.send('POST', path, { body });
  assert.equal(answer.code, 201, answer.text);
}

/** Reads an autoscaler until something is told of it. */
async function until(
  called: string,
  matches: (status: Autoscaler['status']) => boolean,
): Promise<Autoscaler> {
  for (let round = 0; ; round++) {
    const object = (await api.send('GET', `${NEWER}/${called}`)).json<Autoscaler>();
    if (matches(object.status)) return object;
    assert.ok(round < 20, JSON.stringify(object.status));
    const from = object.metadata.resourceVersion;
    const query = `watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3D${called}&resourceVersion=${from}`;
    await api.send('GET', `${NEWER}?${query}`);
  }
}

const told = ({ status }: Autoscaler): string[] =>
  (status.conditions ?? []).map((each) => `${each.type}=${each.status} ${each.reason}: ${each.message}`);
const isSaid = (reason: string): ((status: Autoscaler['status']) => boolean) => {
  return ({ conditions = [] }) => conditions.some((condition) => condition.reason === reason);
};

test('a workload is kept within the bounds of its autoscaler', async () => {
  await deploy('many', 5);
  await autoscale('many', { maxReplicas: 3 });
  const object = await until('many', isSaid('SucceededRescale'));
  assert.deepEqual([object.status.currentReplicas, object.status.desiredReplicas], [5, 3]);
  const scaled = await api.send('GET', `${DEPLOYMENTS}/many`);
  assert.equal(scaled.json<{ spec: { replicas: number } }>().spec.replicas, 3);
  const events = await api.send(
    'GET',
    '/api/v1/namespaces/default/events?fieldSelector=reason%3DSuccessfulRescale',
  );
  const [event] = events.json<{ items: { message: string }[] }>().items;
  assert.equal(event?.message, 'New size: 3; reason: Current number of replicas above Spec.MaxReplicas');
});

test('within its bounds nothing changes, and the autoscaler says that nobody measures', async () => {
  await deploy('few', 2);
  await autoscale('few', { maxReplicas: 3, targetCPUUtilizationPercentage: 70 }, OLDER);
  const object = await until('few', isSaid('FailedGetResourceMetric'));
  const why =
    'unable to fetch metrics from resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)';
  assert.deepEqual(told(object), [
    "AbleToScale=True SucceededGetScale: the HPA controller was able to get the target's current scale",
    `ScalingActive=False FailedGetResourceMetric: the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get metrics for resource cpu: ${why}`,
  ]);
  const { rows } = (await api.send('GET', NEWER, { accept: TABLE })).json<{ rows: { cells: unknown[] }[] }>();
  const row = rows.find(({ cells }) => cells[0] === 'few');
  assert.deepEqual(row?.cells.slice(0, 6), ['few', 'Deployment/few', 'cpu: <unknown>/70%', '1', 3, 2]);
  const body = { apiVersion: 'autoscaling/v1', kind: 'HorizontalPodAutoscaler', metadata: name('other') };
  const again = await api.send('POST', NEWER, { body });
  const mismatch = 'the API version in the data (autoscaling/v1) does not match the expected API version';
  assert.deepEqual([again.code, again.json().message], [400, `${mismatch} (autoscaling/v2)`]);
  const older = (await api.send('GET', `${OLDER}/few`)).json<Autoscaler>();
  assert.equal(older.spec['targetCPUUtilizationPercentage'], 70);
  assert.match(
    older.metadata.annotations?.['autoscaling.alpha.kubernetes.io/conditions'] ?? '',
    /AbleToScale/,
  );
});

test('an autoscaler of nothing says so, and one of what was scaled to nothing rests', async () => {
  await autoscale('none', { maxReplicas: 3 });
  const object = await until('none', isSaid('FailedGetScale'));
  assert.deepEqual(told(object), [
    `AbleToScale=False FailedGetScale: the HPA controller was unable to get the target's current scale: deployments.apps "none" not found`,
  ]);
  await autoscale('odd', { maxReplicas: 3, scaleTargetRef: { apiVersion: 'v1', kind: 'Pod', name: 'odd' } });
  const odd = await until('odd', isSaid('FailedGetScale'));
  assert.match(told(odd)[0] ?? '', /unable to determine resource for scale target reference/);
  await deploy('resting', 0);
  await autoscale('resting', { maxReplicas: 3 });
  const resting = await until('resting', isSaid('ScalingDisabled'));
  assert.equal(
    told(resting)[1],
    'ScalingActive=False ScalingDisabled: scaling is disabled since the replica count of the target is zero',
  );
});
