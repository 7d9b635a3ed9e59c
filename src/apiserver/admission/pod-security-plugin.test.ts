import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestApi, type RawAnswer, type TestApi } from '../../../test/support/test-api.ts';

let api: TestApi;
let count = 0;
before(async () => {
  api = await startTestApi();
});
after(() => api.close());

async function namespace(labels: Record<string, string>): Promise<string> {
  const name = `n${count++}`;
  const metadata = {
    name,
    labels: Object.fromEntries(
      Object.entries(labels).map(([key, value]) => [`pod-security.kubernetes.io/${key}`, value]),
    ),
  };
  const made = await api.send('POST', '/api/v1/namespaces', {
    body: { apiVersion: 'v1', kind: 'Namespace', metadata },
  });
  assert.equal(made.code, 201, made.text);
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
  await api.send('POST', `/api/v1/namespaces/${name}/serviceaccounts`, { body: account });
  return `/api/v1/namespaces/${name}`;
}

function pod(at: string, spec: object, containers: object[] = [{}]): Promise<RawAnswer> {
  const all = containers.map((container, index) => ({ name: 'abc'[index], image: 'i', ...container }));
  const body = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { ...spec, containers: all } };
  return api.send('POST', `${at}/pods?dryRun=All`, { body });
}

const messageOf = (answer: RawAnswer): string => answer.json<{ message: string }>().message;
const context = (securityContext: object): object => ({ securityContext });
const GOOD = context({
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
});

const cases: readonly (readonly [string, object, object[], string])[] = [
  ['baseline', {}, [{}], ''],
  ['restricted', {}, [GOOD], ''],
  [
    'restricted',
    {},
    [{}, GOOD],
    'allowPrivilegeEscalation != false (container "a" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "a" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "a" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
  ],
  [
    'baseline',
    { hostNetwork: true, hostPID: true, volumes: [{ name: 'v', hostPath: { path: '/' } }] },
    [context({ privileged: true }), context({ capabilities: { add: ['SYS_TIME', 'CHOWN'] } })],
    'non-default capabilities (container "b" must not include "SYS_TIME" in securityContext.capabilities.add), host namespaces (hostNetwork=true, hostPID=true), hostPath volumes (volume "v"), privileged (container "a" must not set securityContext.privileged=true)',
  ],
  [
    'restricted',
    {
      hostIPC: true,
      volumes: [{ name: 'v', hostPath: { path: '/' } }],
      ...context({ runAsUser: 0, seccompProfile: { type: 'Unconfined' } }),
    },
    [GOOD],
    'host namespaces (hostIPC=true), restricted volume types (volume "v" uses restricted volume type "hostPath"), runAsUser=0 (pod must not set runAsUser=0), seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
  ],
  [
    'baseline',
    context({ sysctls: [{ name: 'kernel.msgmax', value: '1' }] }),
    [{ ports: [{ containerPort: 80, hostPort: 80 }] }, { ports: [{ containerPort: 90, hostPort: 90 }] }],
    'hostPort (containers "a", "b" use hostPorts 80, 90), forbidden sysctls (kernel.msgmax)',
  ],
];

test('Pods are held to the level that their namespace enforces, with the texts of the standard', async () => {
  const places = new Map<string, string>();
  for (const level of ['baseline', 'restricted']) places.set(level, await namespace({ enforce: level }));
  for (const [level, spec, containers, faults] of cases) {
    const answer = await pod(places.get(level) ?? '', spec, containers);
    if (faults === '') assert.equal(answer.code, 201, answer.text);
    else
      assert.equal(
        messageOf(answer),
        `pods "p" is forbidden: violates PodSecurity "${level}:latest": ${faults}`,
      );
  }
});

test('a namespace may only warn, which it does for workloads too, and names the version it means', async () => {
  const at = await namespace({ enforce: 'baseline', warn: 'restricted', 'warn-version': 'v1.30' });
  const answer = await pod(at, {});
  assert.equal(answer.code, 201);
  assert.match(
    String(answer.headers['warning']),
    /would violate PodSecurity \\"restricted:v1\.30\\": allowPrivilegeEscalation != false/,
  );
  const template = {
    metadata: { labels: { a: 'b' } },
    spec: { hostNetwork: true, containers: [{ name: 'c', image: 'i' }] },
  };
  const deployment = await api.send('POST', `${at.replace('/api/v1', '/apis/apps/v1')}/deployments`, {
    body: {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'd' },
      spec: { selector: { matchLabels: { a: 'b' } }, template },
    },
  });
  assert.equal(deployment.code, 201);
  assert.match(String(deployment.headers['warning']), /host namespaces \(hostNetwork=true\)/);
});

test('labels that name no level are refused, and becoming stricter tells of Pods that are not', async () => {
  const body = (enforce: string): object => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name: 'bad',
      labels: {
        'pod-security.kubernetes.io/enforce': enforce,
        'pod-security.kubernetes.io/warn-version': '1.2',
      },
    },
  });
  assert.equal(
    messageOf(await api.send('POST', '/api/v1/namespaces', { body: body('strict') })),
    'Namespace "bad" is invalid: [metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted, metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: "1.2": must be "latest" or "v1.x"]',
  );
  const at = await namespace({});
  for (const name of ['x', 'y']) {
    const spec = { hostPID: true, containers: [{ name: 'c', image: 'i' }] };
    await api.send('POST', `${at}/pods`, {
      body: { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec },
    });
  }
  const changed = await api.send('PATCH', at, {
    contentType: 'application/merge-patch+json',
    body: { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'baseline' } } },
  });
  assert.equal(changed.code, 200);
  const warnings = String(changed.headers['warning']);
  assert.match(warnings, /violate the new PodSecurity enforce level \\"baseline:latest\\"/);
  assert.match(warnings, /x \(and 1 other pod\): host namespaces"/);
});
