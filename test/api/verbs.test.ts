import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { allVerbs, resources, type ResourceInfo, type SubresourceInfo } from '../../src/kube/resources.ts';
import { makeCertificateRequest } from '../support/make-certificate-request.ts';
import { startTestApi, type RawAnswer, type TestApi } from '../support/test-api.ts';

/* What docs/kubernetes-api.md says of each kind, verb and subresource, asked of a server. */

const NAMESPACE = 'probe';
const NAME = 'one';
const container = { name: 'a', image: 'x' };
const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [container] } };
const selector = { matchLabels: { a: 'b' } };
const job = { template: { spec: { containers: [container], restartPolicy: 'Never' } } };
const access = { spec: { resourceAttributes: { verb: 'get', resource: 'pods' }, user: 'u' } };
const policy = {
  matchConstraints: {
    resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
  },
};
const target = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' };
const binding = { roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' } };
const webhook = {
  webhooks: [
    {
      name: 'a.b.c',
      clientConfig: { url: 'https://127.0.0.1:1' },
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
    },
  ],
};

/** What an object of a kind needs beside its name. */
const NEEDED: Readonly<Record<string, object | undefined>> = {
  'v1 Binding': { metadata: { name: 'bound' }, target: { kind: 'Node', name: NAME } },
  'v1 ComponentStatus': { metadata: { name: 'etcd-0' } },
  'v1 Event': { metadata: { name: NAME }, involvedObject: { namespace: NAMESPACE } },
  'v1 LimitRange': { spec: { limits: [] } },
  'v1 PersistentVolume': {
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      hostPath: { path: '/x' },
    },
  },
  'v1 PersistentVolumeClaim': {
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  },
  'v1 Pod': { spec: { containers: [container] } },
  'v1 PodTemplate': { template },
  'v1 ReplicationController': { spec: { selector: { a: 'b' }, template } },
  'v1 Service': { spec: { ports: [{ port: 80 }] } },
  'apiregistration.k8s.io/v1 APIService': {
    metadata: { name: 'v1.probe.example' },
    spec: {
      group: 'probe.example',
      version: 'v1',
      service: { namespace: NAMESPACE, name: 'a' },
      groupPriorityMinimum: 1,
      versionPriority: 1,
    },
  },
  'apps/v1 ControllerRevision': { revision: 1, data: {} },
  'apps/v1 DaemonSet': { spec: { selector, template } },
  'apps/v1 Deployment': { spec: { selector, template } },
  'apps/v1 ReplicaSet': { spec: { selector, template } },
  'apps/v1 StatefulSet': { spec: { selector, template } },
  'events.k8s.io/v1 Event': {
    metadata: { name: 'newer' },
    eventTime: '2026-01-01T00:00:00.000000Z',
    regarding: { kind: 'Pod', namespace: NAMESPACE, name: 'x' },
    reportingController: 'a.b/c',
    reportingInstance: 'i',
    action: 'Acted',
    reason: 'Because',
    type: 'Normal',
  },
  'authentication.k8s.io/v1 TokenReview': { spec: { token: 'x' } },
  'authorization.k8s.io/v1 LocalSubjectAccessReview': {
    spec: { ...access.spec, resourceAttributes: { ...access.spec.resourceAttributes, namespace: NAMESPACE } },
  },
  'authorization.k8s.io/v1 SelfSubjectAccessReview': access,
  'authorization.k8s.io/v1 SelfSubjectRulesReview': { spec: { namespace: NAMESPACE } },
  'authorization.k8s.io/v1 SubjectAccessReview': access,
  'batch/v1 CronJob': { spec: { schedule: '0 0 1 1 *', jobTemplate: { spec: job } } },
  'batch/v1 Job': { spec: job },
  'certificates.k8s.io/v1 CertificateSigningRequest': {
    spec: {
      request: Buffer.from(makeCertificateRequest([['2.5.4.3', 'jane']])).toString('base64'),
      signerName: 'kubernetes.io/kube-apiserver-client',
      usages: ['client auth'],
    },
  },
  'autoscaling/v1 HorizontalPodAutoscaler': { spec: { scaleTargetRef: target, maxReplicas: 2 } },
  'autoscaling/v2 HorizontalPodAutoscaler': {
    metadata: { name: 'newer' },
    spec: { scaleTargetRef: target, maxReplicas: 2 },
  },
  'discovery.k8s.io/v1 EndpointSlice': { addressType: 'IPv4', endpoints: [] },
  'networking.k8s.io/v1 Ingress': {
    spec: { defaultBackend: { service: { name: 'a', port: { number: 80 } } } },
  },
  'networking.k8s.io/v1 IngressClass': { spec: { controller: 'a.b/c' } },
  'node.k8s.io/v1 RuntimeClass': { handler: 'h' },
  'rbac.authorization.k8s.io/v1 ClusterRoleBinding': binding,
  'rbac.authorization.k8s.io/v1 RoleBinding': binding,
  'scheduling.k8s.io/v1 PriorityClass': { value: 1 },
  'storage.k8s.io/v1 StorageClass': { provisioner: 'a.b/c' },
  'apiextensions.k8s.io/v1 CustomResourceDefinition': {
    metadata: { name: 'boxes.example.com' },
    spec: {
      group: 'example.com',
      names: { plural: 'boxes', kind: 'Box' },
      scope: 'Namespaced',
      versions: [
        { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } },
      ],
    },
  },
  'admissionregistration.k8s.io/v1 MutatingWebhookConfiguration': webhook,
  'admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration': webhook,
  'admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy': {
    spec: { ...policy, validations: [{ expression: 'true' }] },
  },
  'admissionregistration.k8s.io/v1 MutatingAdmissionPolicy': {
    spec: {
      ...policy,
      reinvocationPolicy: 'Never',
      mutations: [
        {
          patchType: 'ApplyConfiguration',
          applyConfiguration: { expression: 'Object{metadata: Object.metadata{}}' },
        },
      ],
    },
  },
  'admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding': {
    spec: { policyName: 'p', validationActions: ['Warn'] },
  },
  'admissionregistration.k8s.io/v1 MutatingAdmissionPolicyBinding': { spec: { policyName: 'p' } },
};

const MERGE = 'application/merge-patch+json';
const METHODS: Readonly<Record<string, string>> = {
  create: 'POST',
  get: 'GET',
  patch: 'PATCH',
  update: 'PUT',
};

let api: TestApi;
before(async () => {
  api = await startTestApi();
  await api.send('POST', '/api/v1/namespaces', { body: { metadata: { name: NAMESPACE } } });
  await api.send('POST', `/api/v1/namespaces/${NAMESPACE}/serviceaccounts`, {
    body: { metadata: { name: 'default' } },
  });
  await api.send('POST', `/api/v1/namespaces/${NAMESPACE}/pods`, {
    body: { metadata: { name: 'bound' }, spec: { containers: [container] } },
  });
});
after(() => api.close());

const refusedMethod = (answer: RawAnswer): boolean => answer.code === 405;

async function usesEveryVerb(resource: ResourceInfo): Promise<void> {
  const { group, apiVersion, kind, namespaced } = resource;
  const needed = NEEDED[`${apiVersion} ${kind}`] ?? {};
  const isReview = !resource.verbs.includes('get') && resource.verbs.includes('create');
  const object = { metadata: isReview ? {} : { name: NAME }, ...needed } as { metadata: { name?: string } };
  const place = namespaced ? `/namespaces/${NAMESPACE}` : '';
  const collection = `/${group === '' ? 'api' : 'apis'}/${apiVersion}${place}/${resource.resource}`;
  const one = `${collection}/${object.metadata.name ?? NAME}`;
  const label = { metadata: { labels: { probed: 'yes' } } };
  const requests: Readonly<Record<string, () => Promise<RawAnswer>>> = {
    create: () => api.send('POST', collection, { body: object }),
    get: () => api.send('GET', one),
    list: () => api.send('GET', collection),
    watch: () => api.send('GET', `${collection}?watch=1&timeoutSeconds=1`),
    patch: () => api.send('PATCH', one, { contentType: MERGE, body: label }),
    update: async () => api.send('PUT', one, { body: (await api.send('GET', one)).json() }),
    deletecollection: () => api.send('DELETE', `${collection}?labelSelector=none%3Dhere`),
    delete: () => api.send('DELETE', `${one}?dryRun=All`),
  };
  for (const verb of ['create', 'get', 'list', 'patch', 'update', 'deletecollection', 'watch', 'delete']) {
    const answer = await requests[verb]?.();
    const told = `${verb} ${kind}: ${answer?.code} ${answer?.text.slice(0, 300)}`;
    if (resource.verbs.includes(verb)) assert.ok(answer !== undefined && answer.code < 300, told);
    else assert.ok(answer !== undefined && (refusedMethod(answer) || answer.code === 404), told);
  }
  for (const subresource of resource.subresources) await knowsSubresource(one, subresource);
}

/** Asks with nothing to do: what is served finds fault with that, what is not says that it is not. */
async function knowsSubresource(one: string, { name, verbs }: SubresourceInfo): Promise<void> {
  for (const [verb, method] of Object.entries(METHODS)) {
    const sent = method === 'GET' ? {} : { body: {}, ...(method === 'PATCH' && { contentType: MERGE }) };
    const answer = await api.send(method, `${one}/${name}?dryRun=All`, sent);
    const told = `${verb} ${one}/${name}: ${answer.code} ${answer.text.slice(0, 300)}`;
    assert.equal(refusedMethod(answer), !verbs.includes(verb), told);
    assert.doesNotMatch(answer.text, /could not find the requested resource/, told);
  }
}

describe('every verb and subresource that is told of works, and no other:', { concurrency: true }, () => {
  for (const resource of resources) {
    test(`${resource.apiVersion} ${resource.kind}`, () => usesEveryVerb(resource));
  }
});

test('no verb is told of that is not asked for here', () => {
  const told = new Set(resources.flatMap(({ verbs }) => verbs));
  assert.deepEqual([...told].toSorted(), [...allVerbs].toSorted());
});
