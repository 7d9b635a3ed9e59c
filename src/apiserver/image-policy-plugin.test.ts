import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { startTestApi, type RawAnswer, type TestApi } from '../../test/support/test-api.ts';
import { Pki } from '../daemon/pki.ts';

interface Review {
  spec: { containers: { image: string }[]; namespace: string };
}

const reviews: Review[] = [];
let directory: string;
let api: TestApi;
let stop: () => Promise<void>;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'drayage-policy-'));
  const pki = await Pki.open(join(directory, 'pki'));
  const serving = await pki.issue({
    file: 'webhook',
    commonName: 'webhook',
    usage: 'server',
    names: ['127.0.0.1'],
  });
  const server = createServer({ key: serving.key, cert: serving.cert }, (request, response) => {
    void text(request).then((body) => {
      const review = JSON.parse(body) as Review;
      assert.equal(request.headers.authorization, 'Bearer t0ken');
      reviews.push(review);
      const allowed = review.spec.containers.every(({ image }) => image.startsWith('good'));
      response.end(
        JSON.stringify({ ...review, status: allowed ? { allowed } : { allowed, reason: 'not ours' } }),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stop = () => new Promise((resolve) => server.close(() => resolve()));
  const { port } = server.address() as AddressInfo;
  await writeFile(
    join(directory, 'webhook.yaml'),
    `apiVersion: v1
kind: Config
clusters: [{name: w, cluster: {server: 'https://127.0.0.1:${port}/review', certificate-authority-data: ${Buffer.from(pki.ca.cert).toString('base64')}}}]
users: [{name: u, user: {token: t0ken}}]
contexts: [{name: c, context: {cluster: w, user: u}}]
current-context: c
`,
  );
  const config = join(directory, 'admission.yaml');
  await writeFile(
    config,
    `apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: ImagePolicyWebhook
  configuration:
    imagePolicy: {kubeConfigFile: webhook.yaml, allowTTL: 50, denyTTL: 50, retryBackoff: -1, defaultAllow: false}
`,
  );
  api = await startTestApi({
    enableAdmissionPlugins: ['ImagePolicyWebhook'],
    admissionControlConfigFile: config,
  });
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
  assert.equal(
    (await api.send('POST', '/api/v1/namespaces/default/serviceaccounts', { body: account })).code,
    201,
  );
});
after(async () => {
  await api.close();
  await rm(directory, { recursive: true, force: true });
});

function create(name: string, image: string): Promise<RawAnswer> {
  const body = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { containers: [{ name: 'c', image }] },
  };
  return api.send('POST', '/api/v1/namespaces/default/pods', { body });
}

test('2.14 the webhook is asked about the images of a Pod, and its refusal is the answer', async () => {
  assert.equal((await create('a', 'good:1')).code, 201);
  assert.deepEqual(reviews.at(-1)?.spec, { containers: [{ image: 'good:1' }], namespace: 'default' });
  const refused = await create('b', 'evil:1');
  assert.equal(refused.code, 403);
  assert.match(
    refused.json<{ message: string }>().message,
    /^pods "b" is forbidden: image policy webhook backend denied one or more images: not ours$/,
  );
});

test('2.19 nothing runs while the webhook is away and the default is to refuse', async () => {
  await stop();
  const refused = await create('c', 'good:2');
  assert.equal(refused.code, 403);
  assert.match(refused.json<{ message: string }>().message, /Post "https:\/\/127\.0\.0\.1:\d+\/review"/);
});

test('2.14 the plugin does not start without its configuration', async () => {
  await assert.rejects(startTestApi({ enableAdmissionPlugins: ['ImagePolicyWebhook'] }), {
    code: 'NO_CONFIG',
  });
});
