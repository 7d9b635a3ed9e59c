import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { refuses } from '../../test/api/refusals.ts';
import type { KubeObject } from '../kube/object.ts';
import { startTestApi, type TestApi } from '../../test/support/test-api.ts';

const COMPONENTS = '/api/v1/componentstatuses';
const VERSIONS = '/apis/apiregistration.k8s.io/v1/apiservices';
const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';

let api: TestApi;
let isSchedulerWell = true;
before(async () => {
  api = await startTestApi({
    components: [
      {
        name: 'scheduler',
        check: () => {
          if (!isSchedulerWell) throw new Error('stopped');
        },
      },
    ],
  });
});
after(() => api.close());

interface Table {
  readonly columnDefinitions: readonly { readonly name: string }[];
  readonly rows: readonly { readonly cells: readonly unknown[] }[];
}

const cells = async (path: string): Promise<unknown[][]> => {
  const { rows } = (await api.send('GET', path, { accept: TABLE })).json<Table>();
  return rows.map((row) => [...row.cells]);
};

describe('ComponentStatus', () => {
  test('asks each part when it is read, and warns that it is deprecated', async () => {
    const answer = await api.send('GET', COMPONENTS);
    assert.equal(answer.headers['warning'], '299 - "v1 ComponentStatus is deprecated in v1.19+"');
    assert.deepEqual(answer.json(), {
      kind: 'ComponentStatusList',
      apiVersion: 'v1',
      metadata: {},
      items: ['scheduler', 'etcd-0'].map((name) => ({
        metadata: { name },
        conditions: [{ type: 'Healthy', status: 'True', message: 'ok' }],
      })),
    });
    isSchedulerWell = false;
    assert.deepEqual(await cells(`${COMPONENTS}/scheduler`), [['scheduler', 'Unhealthy', 'stopped', '']]);
    isSchedulerWell = true;
  });

  test('is selected by name', async () => {
    assert.deepEqual(await cells(`${COMPONENTS}?fieldSelector=metadata.name%3Detcd-0`), [
      ['etcd-0', 'Healthy', 'ok', ''],
    ]);
    assert.deepEqual(await cells(`${COMPONENTS}?labelSelector=a`), []);
  });

  refuses(
    () => api,
    [
      ['a part that there is not', `GET ${COMPONENTS}/x`, undefined, 500, 'Component not found: x'],
      [
        'a watch',
        `GET ${COMPONENTS}?watch=1`,
        undefined,
        405,
        'watch is not supported on resources of kind "componentstatuses"',
      ],
      [
        'a create',
        `POST ${COMPONENTS}`,
        { metadata: { name: 'x' } },
        405,
        'the server does not allow this method on the requested resource',
      ],
    ],
  );
});

test('who uses Endpoints is told that they are deprecated', async () => {
  const { headers } = await api.send('GET', '/api/v1/namespaces/default/endpoints');
  assert.equal(
    headers['warning'],
    '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"',
  );
});

describe('APIService', () => {
  const remote = (spec: object = {}, name = 'v1beta1.metrics.example'): object => ({
    metadata: { name },
    spec: {
      group: 'metrics.example',
      version: 'v1beta1',
      service: { namespace: 'kube-system', name: 'metrics' },
      groupPriorityMinimum: 100,
      versionPriority: 100,
      ...spec,
    },
  });

  test('there is one for each version that is served, in the form of a real server', async () => {
    const names = (await cells(VERSIONS)).map(([name, where, available]) =>
      [name, where, available].join(' '),
    );
    assert.ok(names.includes('v1. Local True'));
    assert.ok(names.includes('v1.apps Local True'));
    assert.ok(!names.some((name) => name.includes('apiregistration')));
    const { metadata, spec, status } = (await api.send('GET', `${VERSIONS}/v1.apps`)).json<{
      metadata: { labels: object; creationTimestamp: string };
      spec: object;
      status: object;
    }>();
    assert.deepEqual(metadata.labels, { 'kube-aggregator.kubernetes.io/automanaged': 'onstart' });
    assert.deepEqual(spec, {
      group: 'apps',
      version: 'v1',
      groupPriorityMinimum: 17_800,
      versionPriority: 15,
    });
    assert.deepEqual(status, {
      conditions: [
        {
          type: 'Available',
          status: 'True',
          lastTransitionTime: metadata.creationTimestamp,
          reason: 'Local',
          message: 'Local APIServices are always available',
        },
      ],
    });
  });

  test('there is one for the version of a definition as long as that is there', async () => {
    const names = { plural: 'boxes', singular: 'box', kind: 'Box', listKind: 'BoxList' };
    const schema = { openAPIV3Schema: { type: 'object' } };
    const versions = [{ name: 'v2', served: true, storage: true, schema }];
    const ending = new AbortController();
    const seen: string[] = [];
    const type = {
      group: 'apiregistration.k8s.io',
      version: 'v1',
      resource: 'apiservices',
      kind: 'APIService',
      namespaced: false,
    };
    const { metadata } = await api.client.list(type, {}, ending.signal);
    const options = { resourceVersion: metadata?.resourceVersion ?? '' };
    const untilGone = async (): Promise<void> => {
      for await (const event of api.client.watch<KubeObject>(type, options, ending.signal)) {
        if (event.type === 'BOOKMARK' || event.object.metadata.name !== 'v2.boxes.example') continue;
        seen.push(event.type);
        if (event.type === 'DELETED') return;
      }
    };
    const gone = untilGone();
    const spec = { group: 'boxes.example', names, scope: 'Namespaced', versions };
    await api.send('POST', DEFINITIONS, { body: { metadata: { name: 'boxes.boxes.example' }, spec } });
    await api.send('DELETE', `${DEFINITIONS}/boxes.boxes.example`);
    await gone;
    assert.deepEqual(seen, ['ADDED', 'DELETED']);
  });

  test('one of another server is kept, and told not to be available', async () => {
    const made = await api.send('POST', VERSIONS, { body: remote() });
    assert.equal(made.code, 201, made.text);
    const [row] = await cells(`${VERSIONS}/v1beta1.metrics.example`);
    assert.deepEqual(row?.slice(1, 3), ['kube-system/metrics', 'False (FailedDiscoveryCheck)']);
  });

  const invalid = (why: string): string =>
    `APIService.apiregistration.k8s.io "v1beta1.metrics.example" is invalid: ${why}`;
  refuses(
    () => api,
    [
      [
        'a name that does not follow from group and version',
        `POST ${VERSIONS}`,
        remote({}, 'x'),
        422,
        'APIService.apiregistration.k8s.io "x" is invalid: metadata.name: Invalid value: "x": must be `spec.version+"."+spec.group`: "v1beta1.metrics.example"',
      ],
      [
        'places that are out of bounds',
        `POST ${VERSIONS}`,
        remote({ groupPriorityMinimum: 0, versionPriority: 1001 }),
        422,
        invalid(
          '[spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000, spec.versionPriority: Invalid value: 1001: must be positive and less than 1000]',
        ),
      ],
      [
        'a local one with certificates',
        `POST ${VERSIONS}`,
        remote({ service: undefined, caBundle: 'YQ==', insecureSkipTLSVerify: true }),
        422,
        invalid(
          '[spec.caBundle: Invalid value: "1 bytes": local APIServices may not have a caBundle, spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify]',
        ),
      ],
      [
        'a server without a name that is trusted twice',
        `POST ${VERSIONS}`,
        remote({ service: { port: 70_000 }, caBundle: 'YQ==', insecureSkipTLSVerify: true }),
        422,
        invalid(
          '[spec.service.namespace: Required value, spec.service.name: Required value, spec.service.port: Invalid value: 70000: port is not valid: must be between 1 and 65535, inclusive, spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present]',
        ),
      ],
      [
        'a status that is neither true nor false',
        `MERGE ${VERSIONS}/v1.apps/status`,
        { status: { conditions: [{ type: 'Available', status: 'Maybe' }] } },
        422,
        'APIService.apiregistration.k8s.io "v1.apps" is invalid: status.conditions[0].status: Unsupported value: "Maybe": supported values: "True", "False", "Unknown"',
      ],
    ],
  );
});
