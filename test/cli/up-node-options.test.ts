import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { openFileStore } from '../../src/content/file-store.ts';
import { buildProgramImage } from '../../src/daemon/program-image.ts';
import { HttpKubeClient } from '../../src/kube/client/http-kube-client.ts';
import { loadKubeconfig } from '../../src/kube/client/kubeconfig.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import type { Pod } from '../../src/kube/pod.ts';
import { findResource } from '../../src/kube/resources.ts';
import { waitForObjects } from '../../src/cli/_wait-for-objects.ts';
import { pushImage } from '../../src/pull/push-image.ts';
import { createHostResolver } from '../../src/remote/hosts/create-host-resolver.ts';
import { createRemoteClient } from '../../src/remote/remote-client.ts';
import { freePort } from '../support/free-port.ts';
import { V1 } from '../support/plugin-scripts.ts';
import { runDray } from '../support/run-dray.ts';
import { makeRoot, removeRoot, startUp, type RunningSystem } from '../support/running-system.ts';

const TEAM = 'registry.example/team';

/** A plug-in that logs its request and hands out the registry's login to the accounts of one team. */
function writePlugin(directory: string, root: string, registry: string): string[] {
  writeFileSync(
    join(directory, 'team-login'),
    `#!/bin/sh
request=$(cat)
echo "$request" >> '${directory}/requests'
registry=$(echo "$request" | sed 's/.*"image":"\\([^/]*\\)\\/.*/\\1/')
printf '{"kind":"CredentialProviderResponse","apiVersion":"${V1}","cacheKeyType":"Registry","cacheDuration":"0s","auth":{"%s":{"username":"admin","password":"%s"}}}' "$registry" "$(cat '${root}/registry/admin-password')"
`,
    { mode: 0o755 },
  );
  const config = join(directory, 'providers.yaml');
  writeFileSync(
    config,
    `apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: team-login
  apiVersion: ${V1}
  matchImages: ["${registry}"]
  defaultCacheDuration: 0s
  tokenAttributes:
    serviceAccountTokenAudience: registry
    cacheType: ServiceAccount
    requireServiceAccount: true
    requiredServiceAccountAnnotationKeys: ["${TEAM}"]
`,
  );
  return ['--image-credential-provider-config', config, '--image-credential-provider-bin-dir', directory];
}

async function push(system: RunningSystem, directory: string, signal: AbortSignal): Promise<string> {
  const store = await openFileStore(join(directory, 'workshop'));
  const image = await buildProgramImage('echo', store, signal);
  const hosts = createHostResolver({ roots: [join(system.root, 'certs.d')], insecureRegistries: [] });
  const remote = createRemoteClient({ hosts });
  try {
    const reference = `${system.registry}/team/echo:v1`;
    const credential = { name: 'admin', username: 'admin', password: system.adminPassword };
    const credentials = async () => credential;
    await pushImage({ remote, content: store, reference, target: image.target, credentials, signal });
    return reference;
  } finally {
    await remote.close();
  }
}

const resource = (plural: string) => {
  const found = findResource('', 'v1', plural);
  assert.ok(found !== undefined);
  return found;
};

interface Event extends KubeObject {
  involvedObject: { name: string };
  reason: string;
  message: string;
}

class Cluster {
  readonly client: HttpKubeClient;
  readonly signal: AbortSignal;

  constructor(client: HttpKubeClient, signal: AbortSignal) {
    this.client = client;
    this.signal = signal;
  }

  async account(name: string, annotations: Record<string, string>): Promise<void> {
    const metadata = { name, namespace: 'default', annotations };
    const object = { apiVersion: 'v1', kind: 'ServiceAccount', metadata };
    await this.client.create<KubeObject>(resource('serviceaccounts'), object, this.signal);
  }

  async pod(name: string, image: string, serviceAccountName: string): Promise<void> {
    const object: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default' },
      spec: {
        restartPolicy: 'Never',
        serviceAccountName,
        containers: [{ name: 'a', image, args: ['hello'] }],
      },
    };
    await this.client.create(resource('pods'), object, this.signal);
  }

  /** Waits for the first event of a Pod that tells how its image came about. */
  async imageEvent(pod: string): Promise<string> {
    const events = await waitForObjects<Event>({
      client: this.client,
      type: resource('events'),
      namespace: 'default',
      fieldSelector: `involvedObject.name=${pod}`,
      what: `there is an event about the image of ${pod}`,
      done: (found) => found.some((event) => /^(?:Pulled|Failed)$/.test(event.reason)),
      timeoutMs: 60_000,
      signal: this.signal,
    });
    const event = events.find((each) => /^(?:Pulled|Failed)$/.test(each.reason));
    return `${event?.reason} ${event?.message}`;
  }
}

async function start(t: TestContext, config?: string) {
  const root = makeRoot();
  const directory = mkdtempSync(join(tmpdir(), 'drayage-up-'));
  // The pattern of a plug-in must name the registry's port, so that has to be known before the start.
  const port = await freePort();
  const args = ['--api-port', '0', '--registry-port', String(port)];
  if (config !== undefined) {
    const file = join(directory, 'kubelet.yaml');
    writeFileSync(file, config);
    args.push('--config', file);
  }
  const system = await startUp(root, [...args, ...writePlugin(directory, root, `localhost:${port}`)]);
  const signal = AbortSignal.timeout(120_000);
  const client = new HttpKubeClient({ ...(await loadKubeconfig(system.kubeconfig)), userAgent: 'test' });
  t.after(async () => {
    await client.close();
    await system.stop();
    removeRoot(root);
    rmSync(directory, { recursive: true, force: true });
  });
  return { system, directory, cluster: new Cluster(client, signal), signal };
}

test('D9 9.17 9.18 9.19 9.22 3.13 a plug-in logs a node in with the token of the Pod’s service account, and nobody else', async (t) => {
  const { system, directory, cluster, signal } = await start(t);
  const image = await push(system, directory, signal);
  await cluster.account('builder', { [TEAM]: 'blue', other: 'not passed on' });
  await cluster.account('stranger', {});
  await cluster.pod('with-login', image, 'builder');
  assert.match(await cluster.imageEvent('with-login'), /^Pulled Successfully pulled image /);

  const request = JSON.parse(readFileSync(join(directory, 'requests'), 'utf8').split('\n')[0] ?? '') as {
    kind: string;
    image: string;
    serviceAccountToken: string;
    serviceAccountAnnotations: object;
  };
  assert.deepEqual(
    [request.kind, request.image, request.serviceAccountAnnotations],
    ['CredentialProviderRequest', image.replace(/:v1$/, ''), { [TEAM]: 'blue' }],
  );
  const claims = JSON.parse(
    Buffer.from(request.serviceAccountToken.split('.')[1] ?? '', 'base64url').toString(),
  ) as { aud: string[]; 'kubernetes.io': { pod: { name: string }; serviceaccount: { name: string } } };
  assert.deepEqual(claims.aud, ['registry']);
  assert.equal(claims['kubernetes.io'].pod.name, 'with-login');
  assert.equal(claims['kubernetes.io'].serviceaccount.name, 'builder');

  await cluster.pod('without-login', image, 'stranger');
  assert.match(
    await cluster.imageEvent('without-login'),
    /^Failed Failed to pull image /,
    'the image lies there, pulled with the credential of another account',
  );
});

test('3.14 a KubeletConfiguration given with --config decides who must prove the right to an image', async (t) => {
  const { system, directory, cluster, signal } = await start(
    t,
    'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nimagePullCredentialsVerificationPolicy: NeverVerify\n',
  );
  const image = await push(system, directory, signal);
  await cluster.account('builder', { [TEAM]: 'blue' });
  await cluster.account('stranger', {});
  await cluster.pod('with-login', image, 'builder');
  assert.match(await cluster.imageEvent('with-login'), /^Pulled Successfully pulled image /);
  await cluster.pod('without-login', image, 'stranger');
  assert.match(
    await cluster.imageEvent('without-login'),
    /^Pulled Container image ".*" already present on machine/,
  );
});

const CONFIGURATIONS: readonly { name: string; text: string; says: RegExp }[] = [
  {
    name: 'an unknown policy',
    text: 'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nimagePullCredentialsVerificationPolicy: Sometimes\n',
    says: /^dray: invalid configuration: option "Sometimes" specified for imagePullCredentialsVerificationPolicy\. Valid options are/,
  },
  {
    name: 'more parallel pulls than a serial node can have',
    text: 'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nserializeImagePulls: true\nmaxParallelImagePulls: 3\n',
    says: /maxParallelImagePulls cannot be larger than 1 unless SerializeImagePulls/,
  },
  {
    name: 'another kind',
    text: 'apiVersion: v1\nkind: ConfigMap\n',
    says: /^dray: Cannot read the kubelet configuration: it is "v1, Kind=ConfigMap"/,
  },
];
for (const { name, text, says } of CONFIGURATIONS) {
  test(`up --config refuses ${name} before anything starts`, async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'drayage-up-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const file = join(directory, 'kubelet.yaml');
    writeFileSync(file, text);
    const outcome = await runDray(['up', '--config', file, '--root', join(directory, 'root')]);
    assert.equal(outcome.code, 1);
    assert.match(outcome.stderr, says);
  });
}

test('9.1 9.6 up refuses to start with a plug-in that is not there, in the words of the kubelet', async (t) => {
  const root = makeRoot();
  const directory = mkdtempSync(join(tmpdir(), 'drayage-up-'));
  t.after(() => {
    removeRoot(root);
    rmSync(directory, { recursive: true, force: true });
  });
  const [configFlag = '', config = '', binFlag = ''] = writePlugin(directory, root, 'localhost:5000');
  const args = ['up', '--root', root, '--api-port', '0', '--registry-port', '0', configFlag, config];
  assert.equal((await runDray(args)).code, 2, 'one option without the other is bad usage');
  const outcome = await runDray([...args, binFlag, root]);
  assert.equal(outcome.code, 1);
  assert.match(outcome.stderr, /plugin binary executable \S+\/team-login did not exist/);
});
