import assert from 'node:assert/strict';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startTestApi } from '../../test/support/test-api.ts';
import { clusterImages } from './cluster-images.ts';

const signal = new AbortController().signal;
const DIGEST = `sha256:${'a'.repeat(64)}`;

function template(image: string): object {
  return { metadata: { labels: { app: 'x' } }, spec: { containers: [{ name: 'c', image }] } };
}

test('images of Pods and of all that makes Pods are found, by tag and by digest, in all namespaces', async (t) => {
  const api = await startTestApi();
  t.after(() => api.close());
  const make = async (path: string, body: object): Promise<void> => {
    const answer = await api.send('POST', path, { body });
    assert.equal(answer.code, 201, answer.text);
  };
  const selector = { matchLabels: { app: 'x' } };
  await make('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team-a' } });
  await make('/api/v1/namespaces/default/serviceaccounts', {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
  });
  await make('/apis/apps/v1/namespaces/team-a/deployments', {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: { selector, template: template('localhost:5000/team-a/app:v7') },
  });
  await make('/apis/batch/v1/namespaces/default/cronjobs', {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'nightly' },
    spec: {
      schedule: '0 3 * * *',
      jobTemplate: {
        spec: {
          template: {
            spec: {
              restartPolicy: 'Never',
              containers: [{ name: 'c', image: `registry.example/jobs@${DIGEST}` }],
            },
          },
        },
      },
    },
  });
  await make('/api/v1/namespaces/default/pods', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'one', annotations: { image: 'annotated:v1' } },
    spec: {
      initContainers: [{ name: 'i', image: 'busybox' }],
      containers: [{ name: 'c', image: 'localhost:5000/team-a/tool:v1' }],
      volumes: [{ name: 'v', image: { reference: 'localhost:5000/data/model:2' } }],
    },
  });
  const images = await clusterImages([{ kubeconfig: api.kubeconfig }], signal);
  assert.deepEqual([...images].sort(), [
    'data/model:2',
    'library/busybox:latest',
    DIGEST,
    'team-a/app:v7',
    'team-a/tool:v1',
  ]);
});

test('a cluster that cannot be asked is an error, not a cluster that uses nothing', async (t) => {
  const api = await startTestApi();
  const directory = await mkdtemp(join(tmpdir(), 'dray-cluster-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const kubeconfig = join(directory, 'kubeconfig');
  await copyFile(api.kubeconfig, kubeconfig);
  await assert.rejects(clusterImages([{ kubeconfig, context: 'none' }], signal), { code: 'NO_CONTEXT' });
  await api.close();
  await assert.rejects(clusterImages([{ kubeconfig }], signal), { name: 'KubeApiError' });
});
