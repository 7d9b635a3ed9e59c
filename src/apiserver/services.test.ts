import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestApi, type RawAnswer, type TestApi } from '../../test/support/test-api.ts';

const SERVICES = '/api/v1/namespaces/default/services';
let api: TestApi;
before(async () => {
  api = await startTestApi();
});
after(() => api.close());

interface Service {
  metadata: { name: string };
  spec: {
    type: string;
    clusterIP?: string;
    clusterIPs?: string[];
    ipFamilies?: string[];
    ports: { port: number; nodePort?: number; targetPort: number; protocol: string }[];
  };
}

function create(name: string, spec: object): Promise<RawAnswer> {
  return api.send('POST', SERVICES, {
    body: { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec },
  });
}

const messageOf = (answer: RawAnswer): string => answer.json<{ message: string }>().message;
const WEB = { selector: { app: 'web' }, ports: [{ port: 80 }] };

test('a Service gets an address of its own and defaults, and keeps both', async () => {
  const answer = await create('web', WEB);
  assert.equal(answer.code, 201, answer.text);
  const { spec } = answer.json<Service>();
  assert.match(spec.clusterIP ?? '', /^10\.(9[6-9]|10\d|11[01])\.\d+\.\d+$/);
  const { clusterIP, clusterIPs, ...rest } = spec;
  assert.deepEqual(clusterIPs, [clusterIP]);
  assert.deepEqual(rest, {
    type: 'ClusterIP',
    sessionAffinity: 'None',
    internalTrafficPolicy: 'Cluster',
    ipFamilies: ['IPv4'],
    ipFamilyPolicy: 'SingleStack',
    selector: { app: 'web' },
    ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
  });
  const replaced = await api.send('PUT', `${SERVICES}/web`, {
    body: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web' },
      spec: { ...WEB, ports: [{ port: 81 }] },
    },
  });
  assert.equal(replaced.code, 200, replaced.text);
  assert.equal(replaced.json<Service>().spec.clusterIP, clusterIP);
  const moved = await api.send('PATCH', `${SERVICES}/web`, {
    contentType: 'application/merge-patch+json',
    body: { spec: { clusterIP: '10.96.1.1', clusterIPs: ['10.96.1.1'] } },
  });
  assert.match(
    messageOf(moved),
    /spec\.clusterIPs\[0\]: Invalid value: \["10\.96\.1\.1"\]: may not change once set/,
  );
});

test('headless, named, node port and load balancer Services are told apart', async () => {
  const headless = (await create('headless', { clusterIP: 'None', selector: { a: 'b' } })).json<Service>();
  assert.equal(headless.spec.clusterIP, 'None');
  const named = (await create('named', { type: 'ExternalName', externalName: 'x.example' })).json<Service>();
  assert.equal(named.spec.clusterIP, undefined);
  const port =
    (await create('port', { ...WEB, type: 'NodePort' })).json<Service>().spec.ports[0]?.nodePort ?? 0;
  assert.ok(port >= 30_000 && port <= 32_767);
  const balancer = (await create('balancer', { ...WEB, type: 'LoadBalancer' })).json<Service>();
  assert.ok((balancer.spec.ports[0]?.nodePort ?? 0) >= 30_000);
  assert.match(
    messageOf(await create('again', { ports: [{ port: 1, nodePort: port }], type: 'NodePort' })),
    /spec\.ports\[0\]\.nodePort: Invalid value: \d+: provided port is already allocated$/,
  );
  const table = await api.send('GET', SERVICES, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' });
  const { rows } = table.json<{ rows: { cells: unknown[] }[] }>();
  const cells = new Map(rows.map((row) => [row.cells[0], row.cells.slice(1, 5)]));
  assert.deepEqual(cells.get('headless'), ['ClusterIP', 'None', '<none>', '<none>']);
  assert.deepEqual(cells.get('named'), ['ExternalName', '<none>', 'x.example', '<none>']);
  assert.deepEqual(cells.get('balancer')?.slice(2), [
    '<pending>',
    `80:${balancer.spec.ports[0]?.nodePort ?? 0}/TCP`,
  ]);
});

const refused: readonly (readonly [string, object, RegExp])[] = [
  ['ports', {}, /spec\.ports: Required value/],
  [
    'names',
    { ports: [{ port: 1 }, { port: 2 }] },
    /spec\.ports\[0\]\.name: Required value, spec\.ports\[1\]\.name: Required value/,
  ],
  [
    'number',
    { ports: [{ port: 70_000 }] },
    /spec\.ports\[0\]\.port: Invalid value: 70000: must be between 1 and 65535, inclusive/,
  ],
  [
    'type',
    { ...WEB, type: 'Other' },
    /spec\.type: Unsupported value: "Other": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"/,
  ],
  ['external', { type: 'ExternalName' }, /spec\.externalName: Required value/],
  [
    'affinity',
    { ...WEB, sessionAffinity: 'x' },
    /spec\.sessionAffinity: Unsupported value: "x": supported values: "ClientIP", "None"/,
  ],
  [
    'node',
    { ports: [{ port: 1, nodePort: 30_001 }] },
    /spec\.ports\[0\]\.nodePort: Forbidden: may not be used when `type` is 'ClusterIP'/,
  ],
];

test('Services that make no sense are refused with the texts of kube-apiserver', async () => {
  for (const [name, spec, why] of refused) {
    const answer = await create(name, spec);
    assert.equal(answer.code, 422, name);
    assert.match(messageOf(answer), why);
  }
});

test('the Service of the API itself is there, and its Endpoints name the server', async () => {
  const { spec } = (await api.send('GET', `${SERVICES}/kubernetes`)).json<Service>();
  assert.deepEqual([spec.clusterIP, spec.ports[0]?.targetPort], ['10.96.0.1', api.server.port]);
  const { subsets } = (await api.send('GET', '/api/v1/namespaces/default/endpoints/kubernetes')).json<{
    subsets: { addresses: { ip: string }[]; ports: { port: number }[] }[];
  }>();
  assert.deepEqual(
    [subsets[0]?.addresses[0]?.ip, subsets[0]?.ports[0]?.port],
    ['127.0.0.1', api.server.port],
  );
});
