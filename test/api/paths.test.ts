import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startTestApi, type TestApi } from '../support/test-api.ts';
import { refuses } from './refusals.ts';

/* Methods, forms of answers, what updates make, and the path of a scale. */

let api: TestApi;
const DEMO = '/api/v1/namespaces/demo';
const DEPLOYMENTS = '/apis/apps/v1/namespaces/demo/deployments';
const NOT_ALLOWED = 'the server does not allow this method on the requested resource';
const APPLY = 'application/apply-patch+yaml';

before(async () => {
  api = await startTestApi();
  await api.send('POST', '/api/v1/namespaces', { body: { metadata: { name: 'demo' } } });
  const labels = { app: 'a' };
  const spec = {
    replicas: 2,
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers: [{ name: 'a', image: 'x:1' }] } },
  };
  const made = await api.send('POST', `${DEPLOYMENTS}?fieldManager=maker`, {
    body: { metadata: { name: 'web' }, spec },
  });
  assert.equal(made.code, 201, made.text);
});
after(() => api.close());

describe('a method that a path does not have is refused:', () => {
  refuses(
    () => api,
    [
      ['POST', '/version'],
      ['PUT', '/version/'],
      ['DELETE', '/api'],
      ['POST', '/api/v1'],
      ['POST', '/apis/apps/v1'],
      ['POST', '/openid/v1/jwks'],
      ['OPTIONS', `${DEMO}/pods`],
      ['TRACE', `${DEMO}/pods/x`],
    ].map(([method = '', path = '']) => [
      `${method} ${path}`,
      `${method} ${path}`,
      undefined,
      405,
      NOT_ALLOWED,
    ]),
  );
});

test('health, the documents and the lists of groups look at no method', async () => {
  for (const path of ['/livez', '/healthz/ping', '/apis', '/apis/apps', '/openapi/v3', '/']) {
    assert.equal((await api.send('POST', path)).code, 200, path);
  }
  assert.equal((await api.send('POST', '/nosuch')).code, 404);
});

test('an object by its name is read, whatever the query says of watching', async () => {
  const answer = await api.send('GET', `${DEPLOYMENTS}/web?watch=true`);
  assert.equal(answer.json()['kind'], 'Deployment');
});

describe('an answer is refused', () => {
  const table = (version: string): string => `application/json;as=Table;v=${version};g=meta.k8s.io`;
  const available = (...types: string[]): string =>
    `406: Not Acceptable\n\nAvailable representations: ${types.join(', ')}`;
  const rows: [
    name: string,
    path: string,
    accept: string,
    code: number,
    message: string,
    details?: object,
  ][] = [
    [
      'of a list in a type that there is not',
      `${DEMO}/pods`,
      'text/html',
      406,
      available('application/json', 'application/yaml', 'application/json;stream=watch'),
      {},
    ],
    [
      'of an object in a type that there is not',
      `${DEMO}/pods/x`,
      'text/html',
      406,
      available('application/json', 'application/yaml'),
      {},
    ],
    [
      'in a form that there is not',
      `${DEMO}/pods`,
      table('v2'),
      406,
      'only the following media types are accepted: application/json, application/yaml',
    ],
    [
      'as a table of something',
      `${DEMO}/pods?includeObject=All`,
      table('v1'),
      400,
      `Unable to convert to Table as requested: includeObject: Invalid value: "All": must be 'Metadata', 'Object', 'None', or empty`,
    ],
    [
      'as tables of something while watching',
      `${DEMO}/pods?watch=1&includeObject=All`,
      table('v1'),
      400,
      `Unable to convert to Table as requested: includeObject: Invalid value: "All": must be 'Metadata', 'Object', 'None', or empty`,
    ],
  ];
  for (const [name, path, accept, code, message, details] of rows) {
    test(name, async () => {
      const answer = await api.send('GET', path, { accept });
      const status = answer.json();
      assert.deepEqual([answer.code, status['message'], status['details']], [code, message, details]);
    });
  }

  test('not for a form that only tables have', async () => {
    assert.equal((await api.send('GET', `${DEMO}/pods?includeObject=All`)).code, 200);
  });
});

describe('what is not there', () => {
  const ROLES = '/apis/rbac.authorization.k8s.io/v1/namespaces/demo';
  const rows: [path: string, body: object][] = [
    [`${DEMO}/services/made`, { spec: { ports: [{ port: 80 }] } }],
    [`${DEMO}/endpoints/made`, {}],
    [`${DEMO}/limitranges/made`, { spec: { limits: [] } }],
    [`${DEMO}/events/made`, { involvedObject: { namespace: 'demo' } }],
    ['/apis/coordination.k8s.io/v1/namespaces/demo/leases/made', { spec: {} }],
    [`${ROLES}/roles/made`, { rules: [] }],
  ];
  for (const [path, rest] of rows) {
    test(`is made by an update of ${path}`, async () => {
      const body = { metadata: { name: 'made', resourceVersion: '7' }, ...rest };
      const made = await api.send('PUT', path, { body });
      assert.equal(made.code, 201, made.text);
      assert.equal((await api.send('GET', path)).code, 200);
    });
  }

  test('is not made by an update of a kind that is created only', async () => {
    const body = { metadata: { name: 'made' } };
    for (const path of [`${DEMO}/configmaps/made`, `${DEMO}/serviceaccounts/made`, '/api/v1/nodes/made']) {
      assert.equal((await api.send('PUT', path, { body })).code, 404, path);
    }
  });

  test('is made by nobody who may only change', async () => {
    const name = 'changer';
    const resources = ['configmaps', 'limitranges'];
    const rules = [{ apiGroups: [''], resources, verbs: ['patch', 'update'] }];
    await api.send('POST', `${ROLES}/roles`, { body: { metadata: { name }, rules } });
    await api.send('POST', `${ROLES}/rolebindings`, {
      body: {
        metadata: { name },
        roleRef: { kind: 'Role', name },
        subjects: [{ kind: 'User', name }],
      },
    });
    const as = await api.certificate(name);
    const because = (resource: string): string =>
      `${resource} "new" is forbidden: User "changer" cannot create resource "${resource}" in API group "" in the namespace "demo"`;
    const applied = await api.send('PATCH', `${DEMO}/configmaps/new?fieldManager=x`, {
      body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'new' } },
      contentType: APPLY,
      as,
    });
    assert.deepEqual([applied.code, applied.json()['message']], [403, because('configmaps')]);
    const put = await api.send('PUT', `${DEMO}/limitranges/new`, { body: { metadata: { name: 'new' } }, as });
    assert.deepEqual([put.code, put.json()['message']], [403, because('limitranges')]);
  });

  test('is not read from a state that is yet to come, or that is no state', async () => {
    const message = async (version: string): Promise<unknown> => {
      const answer = await api.send('GET', `${DEMO}/services/made?resourceVersion=${version}`);
      return [answer.code, answer.json()['message']];
    };
    assert.deepEqual(await message('x'), [
      500,
      'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax',
    ]);
    assert.match(
      String(await message('999999')),
      /^504,Timeout: Too large resource version: 999999, current: /,
    );
  });
});

describe('the scale of a Deployment', () => {
  const SCALE = `${DEPLOYMENTS}/web/scale`;
  const scale = (replicas: number): object => ({
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: { name: 'web' },
    spec: { replicas },
  });
  const apply = (replicas: number, query: string): ReturnType<TestApi['send']> =>
    api.send('PATCH', `${SCALE}?${query}`, { body: scale(replicas), contentType: APPLY });
  const owners = async (): Promise<string[]> => {
    const { metadata } = (await api.send('GET', `${DEPLOYMENTS}/web`)).json<{
      metadata: {
        managedFields: {
          manager: string;
          operation: string;
          apiVersion: string;
          subresource?: string;
          fieldsV1: { 'f:spec'?: object };
        }[];
      };
    }>();
    return metadata.managedFields
      .filter(({ fieldsV1 }) => 'f:replicas' in (fieldsV1['f:spec'] ?? {}))
      .map((entry) => `${entry.manager} ${entry.operation} ${entry.apiVersion} ${entry.subresource ?? '-'}`)
      .toSorted();
  };

  test('is not applied over what another manager owns', async () => {
    const refused = await apply(3, 'fieldManager=scaler');
    assert.equal(refused.code, 409);
    const { message, details } = refused.json<{ message: string; details: object }>();
    assert.equal(
      message,
      'Apply failed with 1 conflict: conflict with "maker" using autoscaling/v1: .spec.replicas',
    );
    assert.deepEqual(details, {
      causes: [
        {
          reason: 'FieldManagerConflict',
          message: 'conflict with "maker" using autoscaling/v1',
          field: '.spec.replicas',
        },
      ],
    });
  });

  test('is applied by force, and the number of replicas changes its owner', async () => {
    const answer = await apply(3, 'fieldManager=scaler&force=true');
    const { kind, metadata, spec } = answer.json<{ kind: string; metadata: object; spec: object }>();
    assert.deepEqual([answer.code, kind, spec], [200, 'Scale', { replicas: 3 }]);
    assert.ok(!('managedFields' in metadata));
    assert.deepEqual(await owners(), ['scaler Apply apps/v1 scale']);
  });

  test('is applied again by its owner, and shared with who wants the same', async () => {
    assert.equal((await apply(4, 'fieldManager=scaler')).code, 200);
    assert.equal((await apply(4, 'fieldManager=second')).code, 200);
    assert.deepEqual(await owners(), ['scaler Apply apps/v1 scale', 'second Apply apps/v1 scale']);
  });

  refuses(
    () => api,
    [
      [
        'an apply without a manager',
        `APPLY ${SCALE}`,
        scale(1),
        422,
        /fieldManager: Required value: is required for apply patch/,
      ],
      [
        'an apply of another kind',
        `APPLY ${SCALE}?fieldManager=x`,
        { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' } },
        400,
        'invalid object type: apps/v1, Kind=Deployment',
      ],
      [
        'an apply of a list',
        `APPLY ${SCALE}?fieldManager=x`,
        '[]',
        400,
        'error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]interface {}',
      ],
      [
        'fewer than none',

        `MERGE ${SCALE}`,
        { spec: { replicas: -1 } },
        422,
        'Scale.autoscaling "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0',
      ],
      [
        'that of another object of the name',
        `MERGE ${SCALE}`,
        { metadata: { uid: 'x' } },
        409,
        'Operation cannot be fulfilled on deployments/scale.apps "web": Precondition failed: UID in precondition: x, UID in object meta: UID',
      ],
      [
        'that of a ReplicaSet that is not there',
        'GET /apis/apps/v1/namespaces/demo/replicasets/x/scale',
        undefined,
        404,
        'replicasets/scale.apps "x" not found',
      ],
    ],
  );
});
