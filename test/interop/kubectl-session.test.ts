import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { test } from 'node:test';
import { startControllers } from '../../src/controllers/start-controllers.ts';
import { findKubectls } from '../support/tools.ts';
import { startTestNode } from '../support/test-node.ts';
import { startTestApi, type TestApi } from '../support/test-api.ts';

/* What people type, by every kubectl there is on this machine, against a server with controllers and a scripted node. */

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const kubectls = findKubectls();
const skip = kubectls.length === 0 ? 'needs kubectl, not installed on this machine' : false;

async function withCluster(
  binary: string,
  work: (kubectl: (args: string, input?: string) => Promise<Ran>, api: TestApi) => Promise<void>,
): Promise<void> {
  const api = await startTestApi();
  const stop = new AbortController();
  const node = await startTestNode(api, 'n1', stop.signal);
  startControllers(api.client, { rootCa: api.pki.ca.cert }, stop.signal);
  const kubectl = (args: string, input?: string): Promise<Ran> =>
    new Promise((resolve) => {
      const child = execFile(
        binary,
        // Words are split at blanks, but for what stands between apostrophes.
        [...args.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? ''),
        { env: { ...process.env, KUBECONFIG: api.kubeconfig, HOME: api.directory }, timeout: 60_000 },
        (error, out, err) =>
          resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, out, err }),
      );
      child.stdin?.end(input ?? '');
    });
  try {
    await work(kubectl, api);
  } finally {
    stop.abort();
    await node.stopped;
    await api.close();
  }
}

/** A DaemonSet or StatefulSet of one image, with the cause of its last change. */
function numbered(kind: string, name: string, tag: string): string {
  return `apiVersion: apps/v1
kind: ${kind}
metadata: {name: ${name}, annotations: {kubernetes.io/change-cause: to ${tag}}}
spec:
  selector: {matchLabels: {app: ${name}}}
  ${kind === 'StatefulSet' ? 'serviceName: s' : 'minReadySeconds: 0'}
  template:
    metadata: {labels: {app: ${name}}}
    spec: {terminationGracePeriodSeconds: 0, containers: [{name: a, image: 'app:${tag}'}]}
`;
}

const DEPLOYMENT = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: a, image: app:v1}]}
`;

for (const binary of kubectls.length === 0 ? ['kubectl'] : kubectls) {
  const label = `${basename(dirname(binary))}/${basename(binary)}`;

  test(`${label}: version, resources and explanations`, { skip }, async () => {
    await withCluster(binary, async (kubectl) => {
      assert.match((await kubectl('version')).out, /1\.36|Minor:"36"/);
      const resources = await kubectl('api-resources');
      assert.match(resources.out, /^deployments +deploy +apps\/v1 +true +Deployment$/m);
      assert.match((await kubectl('explain pod.spec.imagePullSecrets')).out, /name\s+<string>/);
      assert.match((await kubectl('get nodes')).out, /^n1 +Ready +<none> +\S+ +v1\.36/m);
    });
  });

  test(
    `${label}: a docker-registry secret, and a service account that lends it to Pods`,
    { skip },
    async () => {
      await withCluster(binary, async (kubectl) => {
        await kubectl('create ns team');
        const flags =
          '--docker-server=r.example:5000 --docker-username=u --docker-password=p --docker-email=a@b.c';
        assert.equal(
          (await kubectl(`create secret docker-registry reg -n team ${flags}`)).out,
          'secret/reg created\n',
        );
        const data = await kubectl(
          "get secret reg -n team -o 'jsonpath={.type} {.data.\\.dockerconfigjson}'",
        );
        const [type, encoded = ''] = data.out.split(' ');
        assert.equal(type, 'kubernetes.io/dockerconfigjson');
        assert.deepEqual(JSON.parse(Buffer.from(encoded, 'base64').toString()), {
          auths: { 'r.example:5000': { username: 'u', password: 'p', email: 'a@b.c', auth: 'dTpw' } },
        });
        const patched = await kubectl(
          `patch serviceaccount default -n team -p '{"imagePullSecrets":[{"name":"reg"}]}'`,
        );
        assert.equal(patched.code, 0, patched.err);
        const ran = await kubectl('run p -n team --image=r.example:5000/app:1 --restart=Never');
        assert.equal(ran.code, 0, ran.err);
        const secrets = await kubectl("get pod p -n team -o 'jsonpath={.spec.imagePullSecrets[0].name}'");
        assert.equal(secrets.out, 'reg');
        assert.equal((await kubectl('delete ns team --timeout=20s')).code, 0);
        assert.match(
          (await kubectl('get secret reg -n team')).err,
          /secrets "reg" not found|namespaces "team" not found/,
        );
      });
    },
  );

  test(`${label}: roll out, look back and undo for DaemonSets and StatefulSets`, { skip }, async () => {
    await withCluster(binary, async (kubectl) => {
      for (const [kind, name] of [
        ['DaemonSet', 'daemonset.apps/ds'],
        ['StatefulSet', 'statefulset.apps/sts'],
      ] as const) {
        const [, short = ''] = name.split('/');
        const manifest = (tag: string): string => numbered(kind, short, tag);
        assert.equal((await kubectl('apply -f -', manifest('v1'))).out, `${name} created\n`);
        const done = async (): Promise<void> => {
          const status = await kubectl(`rollout status ${name} --timeout=20s`);
          assert.equal(status.code, 0, status.err);
          assert.match(status.out, /successfully rolled out|roll out complete/);
        };
        await done();
        assert.equal((await kubectl('apply -f -', manifest('v2'))).out, `${name} configured\n`);
        await done();
        const history = await kubectl(`rollout history ${name}`);
        assert.match(history.out, /^1 +to v1\n2 +to v2$/m);
        const second = await kubectl(`rollout history ${name} --revision=2`);
        assert.match(second.out, /revision #2\n(.*\n)*.*Image:\s+app:v2/);
        assert.match((await kubectl(`rollout undo ${name}`)).out, /rolled back/);
        await done();
        const image = `get ${name} -o 'jsonpath={.spec.template.spec.containers[0].image}'`;
        assert.equal((await kubectl(image)).out, 'app:v1');
        assert.match((await kubectl(`rollout history ${name}`)).out, /^2 +to v2\n3 +to v1$/m);
      }
    });
  });

  test(`${label}: apply, roll out, undo, scale, wait, describe, delete`, { skip }, async () => {
    await withCluster(binary, async (kubectl) => {
      assert.equal((await kubectl('apply -f -', DEPLOYMENT)).out, 'deployment.apps/web created\n');
      assert.equal((await kubectl('apply -f -', DEPLOYMENT)).out, 'deployment.apps/web unchanged\n');
      assert.match((await kubectl('rollout status deploy/web --timeout=20s')).out, /successfully rolled out/);
      assert.match((await kubectl('get deploy web')).out, /^web +2\/2 +2 +2 /m);
      const changed = DEPLOYMENT.replace('app:v1', 'app');
      assert.equal((await kubectl('apply -f -', changed)).out, 'deployment.apps/web configured\n');
      assert.match((await kubectl('rollout status deploy/web --timeout=20s')).out, /successfully rolled out/);
      const policy =
        "get deploy web -o 'jsonpath={.spec.template.spec.containers[0].image} {.spec.template.spec.containers[0].imagePullPolicy}'";
      // The policy was set when the object was made and stays, although the new image has no tag (rule 2.4).
      assert.equal((await kubectl(policy)).out, 'app IfNotPresent');
      assert.match((await kubectl('rollout undo deploy/web')).out, /rolled back/);
      assert.match((await kubectl('rollout status deploy/web --timeout=20s')).out, /successfully rolled out/);
      assert.equal((await kubectl(policy)).out, 'app:v1 IfNotPresent');
      assert.match(
        (await kubectl('describe deploy web')).out,
        /ScalingReplicaSet +\S+ .*deployment-controller +Scaled up replica set web-\S+/,
      );
      await kubectl('scale deploy/web --replicas=1');
      assert.equal((await kubectl('wait --for=condition=Available deploy/web --timeout=20s')).code, 0);
      assert.equal((await kubectl('delete deploy web --timeout=20s')).code, 0);
      // The older kubectl takes "nothing left to wait for" as a failure.
      const gone = await kubectl('wait --for=delete pod -l app=web --timeout=20s');
      assert.ok(gone.code === 0 || gone.err.includes('no matching resources found'), gone.err);
    });
  });

  test(`${label}: a Pod from creation to its log and its end`, { skip }, async () => {
    await withCluster(binary, async (kubectl) => {
      const made = await kubectl('run p --image=x:1');
      assert.equal(made.code, 0, made.err);
      assert.equal((await kubectl('wait --for=condition=Ready pod/p --timeout=20s')).code, 0);
      assert.match((await kubectl('get pods -o wide')).out, /^p +1\/1 +Running +0 +\S+ +127\.0\.0\.1 +n1 /m);
      assert.equal((await kubectl('logs p')).out, 'line 1\nline 2\n');
      assert.equal((await kubectl('logs p --tail=1')).out, 'line 2\n');
      assert.match((await kubectl('logs p -c nosuch')).err, /container nosuch is not valid for pod p/);
      assert.match(
        (await kubectl('describe pod p')).out,
        /Scheduled +\S+ +default-scheduler +Successfully assigned default\/p to n1/,
      );
      assert.match(
        (await kubectl('get events')).out,
        /Scheduled +pod\/p +Successfully assigned default\/p to n1/,
      );
      assert.equal((await kubectl('delete pod p --timeout=20s')).code, 0);
      assert.match((await kubectl('get pods')).err, /No resources found in default namespace/);
    });
  });

  test(`${label}: a Pod that fits nowhere says why`, { skip }, async () => {
    await withCluster(binary, async (kubectl, api) => {
      const spec = `apiVersion: v1\nkind: Pod\nmetadata: {name: arm}\nspec:\n  nodeSelector: {kubernetes.io/arch: arm64}\n  containers: [{name: a, image: x}]\n`;
      await kubectl('apply -f -', spec);
      assert.equal((await kubectl('wait --for=condition=PodScheduled=false pod/arm --timeout=20s')).code, 0);
      assert.match(
        (await kubectl('describe pod arm')).out,
        /FailedScheduling .*0\/1 nodes are available: 1 node\(s\) didn't match Pod's node affinity\/selector\./,
      );
      assert.match(await readFile(api.kubeconfig, 'utf8'), /current-context/);
    });
  });

  test(`${label}: a scale, an Ingress, and what a manifest no longer names`, { skip }, async () => {
    await withCluster(binary, async (kubectl) => {
      // The older kubectl looks by itself for versions of kinds that are long gone.
      const isOld = (await kubectl('apply --help')).out.includes('--prune-whitelist');
      const made = `-f - --prune -l app=web${isOld ? ' --prune-whitelist=core/v1/ConfigMap' : ''}`;
      const labelled = `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME, labels: {app: web}}\n`;
      const both = ['a', 'b'].map((name) => labelled.replace('NAME', name)).join('---\n');
      assert.equal((await kubectl(`apply ${made}`, both)).out, 'configmap/a created\nconfigmap/b created\n');
      const pruned = await kubectl(`apply ${made}`, labelled.replace('NAME', 'a'));
      assert.equal(pruned.out, 'configmap/a unchanged\nconfigmap/b pruned\n', pruned.err);
      await kubectl('apply -f -', DEPLOYMENT);
      const scale = await kubectl('get deploy web --subresource=scale');
      // The older kubectl does not know the flag.
      if (scale.code === 0) assert.match(scale.out, /^NAME +DESIRED +AVAILABLE +AGE\nweb +2 +\d /);
      const ingress = await kubectl('create ingress web --class=nginx --rule=a.example/*=web:80,tls');
      assert.equal(ingress.out, 'ingress.networking.k8s.io/web created\n', ingress.err);
      assert.match((await kubectl('get ing')).out, /^web +nginx +a\.example +80, 443 /m);
      assert.match((await kubectl('describe ing web')).out, /a\.example +\n +\/ +web:80/);
    });
  });

  test(`${label}: mistakes are named`, { skip }, async () => {
    await withCluster(binary, async (kubectl) => {
      assert.match(
        (await kubectl('get pod nosuch')).err,
        /Error from server \(NotFound\): pods "nosuch" not found/,
      );
      assert.match((await kubectl('get foo')).err, /the server doesn't have a resource type "foo"/);
      const misspelt = `apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: x, imagePullPolcy: Never}]}\n`;
      assert.match(
        (await kubectl('apply -f -', misspelt)).err,
        /unknown field "(spec\.containers\[0\]\.)?imagePullPolcy"/,
      );
      const wrong = `apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ntype: kubernetes.io/dockerconfigjson\ndata: {.dockerconfigjson: ew==}\n`;
      assert.match(
        (await kubectl('apply -f -', wrong)).err,
        /data\[\.dockerconfigjson\]: Invalid value: "<secret contents redacted>": unexpected end of JSON input/,
      );
    });
  });
}
