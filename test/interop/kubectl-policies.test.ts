import assert from 'node:assert/strict';
import { basename, dirname } from 'node:path';
import { test } from 'node:test';
import { Kubectl } from '../support/kubectl.ts';
import { startTestApi } from '../support/test-api.ts';
import { findKubectls } from '../support/tools.ts';

/* Kinds that bound, admit and connect others, by every kubectl there is on this machine. */

const kubectls = findKubectls();
const skip = kubectls.length === 0 ? 'needs kubectl, not installed on this machine' : false;

const MANIFEST = `apiVersion: v1
kind: LimitRange
metadata: {name: limits}
spec: {limits: [{type: Container, default: {cpu: 500m}, max: {memory: 1Gi}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: example.com/disks
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: checks}
webhooks:
- name: check.example.com
  clientConfig: {url: "https://127.0.0.1:1/check"}
  rules: [{operations: [CREATE], apiGroups: [apps], apiVersions: [v1], resources: [deployments]}]
  sideEffects: None
  failurePolicy: Ignore
  admissionReviewVersions: [v1]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: owned}
spec:
  matchConstraints:
    resourceRules: [{operations: [CREATE, UPDATE], apiGroups: [""], apiVersions: [v1], resources: [configmaps]}]
  validations: [{expression: "has(object.metadata.labels) && 'owner' in object.metadata.labels", message: needs an owner}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: owned}
spec: {policyName: owned, validationActions: [Deny]}
`;

const squeezed = (text: string): string => text.replaceAll(/ +/g, ' ');

for (const binary of kubectls) {
  test(
    `${basename(dirname(binary))}: policies, quotas and Services are applied, shown, described and obeyed`,
    { skip },
    async () => {
      const api = await startTestApi();
      try {
        const kubectl = new Kubectl(binary, api);
        await kubectl.run(['apply', '-f', '-'], MANIFEST);
        assert.match(await kubectl.run(['apply', '-f', '-'], MANIFEST), /service\/web unchanged/);
        await kubectl.run(['create', 'quota', 'few', '--hard=configmaps=1']);
        await kubectl.run(['create', 'priorityclass', 'high', '--value=7']);
        await kubectl.run(['create', 'service', 'nodeport', 'out', '--tcp=80']);
        const all = squeezed(await kubectl.run(['get', 'all,quota,limits,sc']));
        assert.match(all, /service\/kubernetes ClusterIP 10\.96\.0\.1 <none> 443\/TCP/);
        assert.match(all, /service\/out NodePort 10\.\S+ <none> 80:3\d{4}\/TCP/);
        assert.match(all, /resourcequota\/few configmaps: 0\/1/);
        assert.match(all, /fast \(default\) example\.com\/disks Delete Immediate false/);
        const service = squeezed(await kubectl.run(['describe', 'service', 'web']));
        assert.match(service, /Selector: app=web\n(?:.*\n)*Port: <unset> 80\/TCP\nTargetPort: http\/TCP/);
        assert.match(
          squeezed(await kubectl.run(['describe', 'limits', 'limits'])),
          /Container memory - 1Gi 1Gi 1Gi -/,
        );
        assert.match(squeezed(await kubectl.run(['describe', 'priorityclass', 'high'])), /Value: 7/);
        const webhooks = await kubectl.run([
          'get',
          'validatingwebhookconfigurations',
          '-o',
          'jsonpath={.items[0].webhooks[0].timeoutSeconds}',
        ]);
        assert.equal(webhooks, '10');
        assert.match(
          await kubectl.run(['explain', 'validatingadmissionpolicy.spec.validations']),
          /expression\s*<string>/,
        );
        const denied = await kubectl.try(['create', 'configmap', 'mine']);
        assert.equal(denied.code, 1);
        assert.match(
          denied.stderr,
          /ValidatingAdmissionPolicy 'owned' with binding 'owned' denied request: needs an owner/,
        );
        const owned = (name: string): string =>
          `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}, labels: {owner: me}}\n`;
        await kubectl.run(['create', '-f', '-'], owned('mine'));
        const over = await kubectl.try(['create', '-f', '-'], owned('more'));
        assert.match(
          over.stderr,
          /configmaps "more" is forbidden: exceeded quota: few, requested: configmaps=1, used: configmaps=1, limited: configmaps=1/,
        );
        await kubectl.run(['delete', '-f', '-'], MANIFEST);
      } finally {
        await api.close();
      }
    },
  );
}
