import { test } from 'node:test';
import assert from 'node:assert/strict';
import { ManualClock } from '../base/manual-clock.ts';
import type { Pod, PodSpec } from '../kube/pod.ts';
import type { ServiceAccount } from '../kube/secret.ts';
import { lookUpAccount, type AccountSource } from './account-lookup.ts';
import type { AdmissionRequest, TracedOutcome } from './admission-review.ts';
import {
  accountNeeded,
  admitServiceAccount,
  concernsServiceAccounts,
  type AccountLookup,
} from './service-account.ts';

const NEVER = new AbortController().signal;

function pod(spec: Partial<PodSpec> = {}, annotations?: Record<string, string>): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'demo', ...(annotations === undefined ? {} : { annotations }) },
    spec: { containers: [{ name: 'a', image: 'x' }], automountServiceAccountToken: false, ...spec },
  };
}

function account(
  extra: Partial<ServiceAccount> = {},
  annotations: Record<string, string> = {},
): AccountLookup {
  return {
    found: true,
    account: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'robot', annotations }, ...extra },
  };
}

function request(object: Pod, extra: Partial<AdmissionRequest> = {}): AdmissionRequest {
  return { operation: 'CREATE', resource: 'pods', namespace: 'demo', object, ...extra };
}

function admitted({ result }: TracedOutcome): Pod {
  assert.ok(result.allowed, result.allowed ? '' : result.message);
  return result.object as Pod;
}

function refusal({ result }: TracedOutcome): string {
  return result.allowed ? assert.fail('allowed') : `${result.reason}: ${result.message}`;
}

const suffix = (): string => 'abcde';

test('8.1 Pods are changed on creation, ephemeral containers checked, nothing else looked at', () => {
  assert.equal(concernsServiceAccounts(request(pod())), true);
  assert.equal(concernsServiceAccounts(request(pod(), { operation: 'UPDATE' })), false);
  assert.equal(concernsServiceAccounts(request(pod(), { resource: 'deployments' })), false);
  assert.equal(
    concernsServiceAccounts(request(pod(), { subresource: 'status', operation: 'UPDATE' })),
    false,
  );
  const ephemeral = request(pod({ serviceAccountName: 'robot' }), {
    subresource: 'ephemeralcontainers',
    operation: 'UPDATE',
  });
  assert.equal(concernsServiceAccounts(ephemeral), true);
  assert.equal(
    admitted(admitServiceAccount(ephemeral, account({ imagePullSecrets: [{ name: 'reg' }] }), suffix)),
    ephemeral.object,
  );
  const update = request(pod(), { operation: 'UPDATE' });
  assert.equal(admitted(admitServiceAccount(update, undefined, suffix)), update.object);
});

test('8.2 a Pod without an account gets default, the older field counts too, and an account that is missing is refused', () => {
  assert.equal(accountNeeded(request(pod())), 'default');
  assert.equal(accountNeeded(request(pod({ serviceAccount: 'old' }))), 'old');
  assert.equal(accountNeeded(request(pod({ serviceAccountName: 'new', serviceAccount: 'old' }))), 'new');
  const { spec } = admitted(admitServiceAccount(request(pod()), account(), suffix));
  assert.deepEqual([spec.serviceAccountName, spec.serviceAccount], ['default', 'default']);
  const missing = request({ ...pod({ serviceAccountName: 'nosuch' }), metadata: { name: 'e1' } });
  assert.equal(
    refusal(
      admitServiceAccount(missing, { found: false, error: 'serviceaccount "nosuch" not found' }, suffix),
    ),
    'Forbidden: pods "e1" is forbidden: error looking up service account demo/nosuch: serviceaccount "nosuch" not found',
  );
});

test('8.2 default is looked up ten times, another account once, and the cache spares storage', async () => {
  const clock = new ManualClock();
  const asked: string[] = [];
  const pauses: number[] = [];
  const source: AccountSource = {
    cached: (_namespace, name) => (name === 'cached' ? robot : undefined),
    live: (_namespace, name) => {
      asked.push(name);
      pauses.push(clock.now());
      return Promise.resolve(undefined);
    },
  };
  const found = account();
  assert.ok(found.found);
  const robot = found.account;
  const options = { clock, random: () => 0.5, signal: NEVER };
  assert.deepEqual(await lookUpAccount(source, 'demo', 'cached', options), found);
  assert.deepEqual(await lookUpAccount(source, 'demo', 'other', options), {
    found: false,
    error: 'serviceaccount "other" not found',
  });
  assert.deepEqual(asked, ['other']);
  const waiting = lookUpAccount(source, 'demo', 'default', options);
  // One turn first, so that the first pause has begun.
  await clock.advance(0);
  for (let i = 0; i < 9; i++) await clock.advance(150);
  assert.deepEqual(await waiting, { found: false, error: 'serviceaccount "default" not found' });
  assert.equal(asked.length, 11);
  assert.deepEqual(pauses.slice(1), [0, 150, 300, 450, 600, 750, 900, 1050, 1200, 1350]);
  const failing: AccountSource = { ...source, live: () => Promise.reject(new Error('storage is away')) };
  assert.deepEqual(await lookUpAccount(failing, 'demo', 'default', options), {
    found: false,
    error: 'storage is away',
  });
});

test('8.3 the account’s pull secrets stand in for a missing list and are never added to one', () => {
  const offers = account({ imagePullSecrets: [{ name: 'a' }, { name: 'a' }, { name: '' }, {}] });
  const { spec } = admitted(admitServiceAccount(request(pod({ imagePullSecrets: [] })), offers, suffix));
  assert.deepEqual(spec.imagePullSecrets, [{ name: 'a' }, { name: 'a' }, { name: '' }, {}]);
  const own = admitted(
    admitServiceAccount(request(pod({ imagePullSecrets: [{ name: 'own' }] })), offers, suffix),
  );
  assert.deepEqual(own.spec.imagePullSecrets, [{ name: 'own' }]);
  assert.equal(
    'imagePullSecrets' in admitted(admitServiceAccount(request(pod()), account(), suffix)).spec,
    false,
  );
});

test('8.4 the account’s other secrets are not for pulling', () => {
  const { spec } = admitted(
    admitServiceAccount(request(pod()), account({ secrets: [{ name: 'token' }] }), suffix),
  );
  assert.equal(spec.imagePullSecrets, undefined);
});

const MIRROR = { 'kubernetes.io/config.mirror': 'x' };

test('8.5 mirror Pods stay as they are and may refer to no account, secret or token', () => {
  const plain = pod({}, MIRROR);
  assert.equal(accountNeeded(request(plain)), undefined);
  assert.equal(admitted(admitServiceAccount(request(plain), undefined, suffix)), plain);
  const table: [spec: Partial<PodSpec>, why: string][] = [
    [{ serviceAccountName: 'robot' }, 'a mirror pod may not reference service accounts'],
    [{ imagePullSecrets: [{ name: 'a' }] }, 'a mirror pod may not reference secrets'],
    [{ volumes: [{ name: 'v', secret: { secretName: 's' } }] }, 'a mirror pod may not reference secrets'],
    [
      { volumes: [{ name: 'v', projected: { sources: [{ secret: { name: 's' } }] } }] },
      'a mirror pod may not reference secrets',
    ],
    [
      { volumes: [{ name: 'v', csi: { nodePublishSecretRef: { name: 's' } } }] },
      'a mirror pod may not reference secrets',
    ],
    [{ volumes: [{ name: 'v', azureFile: { secretName: 's' } }] }, 'a mirror pod may not reference secrets'],
    [
      {
        containers: [
          {
            name: 'a',
            image: 'x',
            env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }],
          },
        ],
      },
      'a mirror pod may not reference secrets',
    ],
    [
      { initContainers: [{ name: 'i', image: 'x', envFrom: [{ secretRef: { name: 's' } }] }] },
      'a mirror pod may not reference secrets',
    ],
    [
      { volumes: [{ name: 'v', projected: { sources: [{ serviceAccountToken: { path: 't' } }] } }] },
      'a mirror pod may not use ServiceAccountToken volume projections',
    ],
  ];
  for (const [spec, why] of table) {
    assert.equal(
      refusal(admitServiceAccount(request(pod(spec, MIRROR)), undefined, suffix)),
      `Forbidden: pods "p" is forbidden: ${why}`,
    );
  }
});

const ENFORCED = { 'kubernetes.io/enforce-mountable-secrets': 'true' };

test('8.6 an account that enforces its list allows no other secret', () => {
  const strict = account({ secrets: [{ name: 'ok' }], imagePullSecrets: [{ name: 'reg' }] }, ENFORCED);
  const env = (name: string): PodSpec['containers'] => [
    { name: 'a', image: 'x', env: [{ name: 'A', valueFrom: { secretKeyRef: { name, key: 'k' } } }] },
  ];
  const fine = pod({
    imagePullSecrets: [{ name: 'reg' }],
    containers: env('ok'),
    volumes: [{ name: 'v', secret: { secretName: 'ok' } }],
  });
  admitted(admitServiceAccount(request(fine), strict, suffix));
  const end = 'is not allowed because service account robot does not reference that secret';
  const table: [spec: Partial<PodSpec>, why: string][] = [
    [
      { imagePullSecrets: [{ name: 'reg' }, { name: 'x' }] },
      'imagePullSecrets[1].name="x" is not allowed because service account robot does not reference that imagePullSecret',
    ],
    [{ volumes: [{ name: 'v', secret: { secretName: 'x' } }] }, `volume with secret.secretName="x" ${end}`],
    [{ containers: env('x') }, `container a with envVar A referencing secret.secretName="x" ${end}`],
    [
      { initContainers: [{ name: 'i', image: 'x', envFrom: [{ secretRef: { name: 'x' } }] }] },
      `init container i with envFrom referencing secret.secretName="x" ${end}`,
    ],
  ];
  for (const [spec, why] of table) {
    assert.equal(
      refusal(admitServiceAccount(request(pod(spec)), strict, suffix)),
      `Forbidden: pods "p" is forbidden: ${why}`,
    );
    admitted(admitServiceAccount(request(pod(spec)), account(), suffix));
    const lax = account({}, { 'kubernetes.io/enforce-mountable-secrets': 'yes' });
    admitted(admitServiceAccount(request(pod(spec)), lax, suffix));
  }
  const debug = request(
    pod({ serviceAccountName: 'robot', ephemeralContainers: env('x'), imagePullSecrets: [{ name: 'x' }] }),
    { subresource: 'ephemeralcontainers', operation: 'UPDATE' },
  );
  assert.equal(
    refusal(admitServiceAccount(debug, strict, suffix)),
    `Forbidden: pods "p" is forbidden: ephemeral container a with envVar A referencing secret.secretName="x" ${end}`,
  );
});

test('8.6 the secrets that a Pod takes from its account pass the account’s own list', () => {
  const strict = account({ imagePullSecrets: [{ name: 'reg' }] }, ENFORCED);
  assert.deepEqual(admitted(admitServiceAccount(request(pod()), strict, suffix)).spec.imagePullSecrets, [
    { name: 'reg' },
  ]);
});

test('8.7 what a Pod got is a copy: a later change of the account does not reach it', () => {
  const offers = { name: 'reg' };
  const { spec } = admitted(
    admitServiceAccount(request(pod()), account({ imagePullSecrets: [offers] }), suffix),
  );
  offers.name = 'changed';
  assert.deepEqual(spec.imagePullSecrets, [{ name: 'reg' }]);
});

test('the token is mounted as Kubernetes 1.36.2 was seen to do it', () => {
  const bare = pod({ initContainers: [{ name: 'i', image: 'x' }] });
  delete bare.spec.automountServiceAccountToken;
  const { spec } = admitted(admitServiceAccount(request(bare), account(), suffix));
  const mount = {
    name: 'kube-api-access-abcde',
    readOnly: true,
    mountPath: '/var/run/secrets/kubernetes.io/serviceaccount',
  };
  assert.deepEqual(spec.containers[0]?.volumeMounts, [mount]);
  assert.deepEqual(spec.initContainers?.[0]?.volumeMounts, [mount]);
  assert.deepEqual(spec.volumes, [
    {
      name: 'kube-api-access-abcde',
      projected: {
        sources: [
          { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
          { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
          {
            downwardAPI: {
              items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
            },
          },
        ],
        defaultMode: 420,
      },
    },
  ]);
});

test('no token is mounted where the Pod or its account says so, or where something is mounted already', () => {
  const bare = pod();
  delete bare.spec.automountServiceAccountToken;
  const off = account({ automountServiceAccountToken: false });
  assert.equal(admitted(admitServiceAccount(request(bare), off, suffix)).spec.volumes, undefined);
  const wanted = pod({ automountServiceAccountToken: true });
  assert.equal(admitted(admitServiceAccount(request(wanted), off, suffix)).spec.volumes?.length, 1);
  const mounted = pod({
    automountServiceAccountToken: true,
    containers: [
      {
        name: 'a',
        image: 'x',
        volumeMounts: [{ name: 'own', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' }],
      },
    ],
  });
  assert.equal(admitted(admitServiceAccount(request(mounted), account(), suffix)).spec.volumes, undefined);
  const existing = pod({
    automountServiceAccountToken: true,
    volumes: [{ name: 'kube-api-access-mine', emptyDir: {} }],
  });
  const { spec } = admitted(admitServiceAccount(request(existing), account(), suffix));
  assert.equal(spec.volumes?.length, 1);
  assert.equal(spec.containers[0]?.volumeMounts?.[0]?.name, 'kube-api-access-mine');
});
