import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pushTinyImage, tinyLayer } from '../node/real-image.ts';
import { tarOf } from '../support/tar-of.ts';
import { makeRoot, removeRoot } from '../support/running-system.ts';
import { findKubectls } from '../support/tools.ts';
import { manifestPath, MissionSystem } from './mission-system.ts';

/* The manifests of the documentation, unchanged: what its text says of each is what happens. */

const REGISTRY = 'my-registry.com';

describe(
  'the documented manifests',
  {
    skip: findKubectls().length === 0 ? 'needs kubectl, not installed on this machine' : false,
    concurrency: false,
  },
  () => {
    const root = makeRoot();
    let mission: MissionSystem;
    let layer: Buffer;
    const apply = (name: string): Promise<string> => mission.kubectl.run(['apply', '-f', manifestPath(name)]);
    const ready = (kind: string, name: string, path: string, value: string): Promise<string> =>
      mission.kubectl.until(['get', kind, name, '-o', `jsonpath={${path}}`], (said) => said === value);

    before(async () => {
      mission = await MissionSystem.start(root);
      await mission.standInFor(REGISTRY, '10.100.100.77', 'docker.io');
      layer = await tinyLayer();
      for (const name of ['my-app', 'mysql', 'multi-arch-app'])
        await mission.registry(['project', 'create', name, '--public']);
      await mission.push('my-app', 'latest');
      await mission.push('mysql', '5.7.32');
      await mission.push('multi-arch-app', 'latest');
      await mission.push('private/app', 'v1.2');
      await mission.push('captain/nginx', 'latest');
      await mission.push('janedoe/awesomeapp', 'v1');
      // The login of the documentation, and an image of its own for the acceptance check.
      await mission.push('user/privaterepo', 'v1');
    });
    after(async () => {
      await mission.system.stop();
      removeRoot(root);
    });

    test('B2 B4 B8: always-update-app gets the newest image at every start, and fetches only what it has not', async () => {
      await apply('always-update-app.yaml');
      await ready('deployment', 'always-update-app', '.status.readyReplicas', '3');
      const first = await mission.events('always-update-app-');
      assert.equal(
        first.filter((event) => event.startsWith('Pulling: Pulling image "my-registry.com/my-app:latest"'))
          .length,
        3,
      );
      const before = await mission.kubectl.run([
        'get',
        'pods',
        '-l',
        'app=always-update-app',
        '-o',
        'jsonpath={.items[0].status.containerStatuses[0].imageID}',
      ]);

      // A new image under the same tag comes with the next roll-out, though the manifest says nothing new.
      await mission.push('my-app', 'latest', { adds: 'newer' });
      await mission.kubectl.run(['rollout', 'restart', 'deployment/always-update-app']);
      await mission.kubectl.run(['rollout', 'status', 'deployment/always-update-app', '--timeout=60s']);
      const after = await mission.kubectl.until(
        [
          'get',
          'pods',
          '-l',
          'app=always-update-app',
          '-o',
          'jsonpath={.items[*].status.containerStatuses[0].imageID}',
        ],
        (said) => said.split(' ').length === 3 && !said.includes(before),
      );
      assert.equal(new Set(after.split(' ')).size, 1);
      await mission.kubectl.run(['delete', 'deployment', 'always-update-app', '--wait=false']);
    });

    test('B3: the policy stays as it was set when the tag of an object changes', async () => {
      await mission.kubectl.run([
        'create',
        'deployment',
        'kept',
        `--image=${REGISTRY}/mysql:5.7.32`,
        '--replicas=0',
      ]);
      const policy = [
        'get',
        'deployment',
        'kept',
        '-o',
        'jsonpath={.spec.template.spec.containers[0].imagePullPolicy}',
      ];
      assert.equal(await mission.kubectl.run(policy), 'IfNotPresent');
      await mission.kubectl.run(['set', 'image', 'deployment/kept', `mysql=${REGISTRY}/mysql:latest`]);
      assert.equal(await mission.kubectl.run(policy), 'IfNotPresent');
    });

    test('B1 B5 B8: stable-db pulls once, keeps its data by claim, and starts again while the registry is away', async () => {
      await apply('stable-db.yaml');
      await ready('statefulset', 'stable-db', '.status.readyReplicas', '2');
      assert.equal(
        await mission.kubectl.run(['get', 'pvc', '-o', 'jsonpath={.items[*].metadata.name}']),
        'data-stable-db-0 data-stable-db-1',
      );
      const pulled = (await mission.events('stable-db-')).filter((event) => event.startsWith('Pulling:'));
      assert.equal(pulled.length, 1);
      await mission.kubectl.run([
        'exec',
        'stable-db-0',
        '--',
        '/bin/sh',
        '-c',
        'echo kept > /var/lib/mysql/row',
      ]);
      await mission.cutOff(REGISTRY);
      await mission.kubectl.run(['delete', 'pod', 'stable-db-0']);
      await ready('statefulset', 'stable-db', '.status.readyReplicas', '2');
      await mission.kubectl.until(
        ['exec', 'stable-db-0', '--', '/bin/sh', '-c', 'read row < /var/lib/mysql/row; echo $row'],
        (said) => said === 'kept\n',
      );
      const again = (await mission.events('stable-db-0')).filter((event) =>
        event.includes('already present on machine'),
      );
      assert.ok(again.length > 0);
      await mission.standInFor(REGISTRY);
      await mission.kubectl.run(['delete', 'statefulset', 'stable-db', '--wait=false']);
    });

    test('B6 B8 G1: offline-processing asks nobody: ErrImageNeverPull until its image is loaded, then it runs', async () => {
      await apply('offline-processing.yaml');
      await mission.kubectl.until(
        [
          'get',
          'pods',
          '-l',
          'job-name=offline-processing',
          '-o',
          'jsonpath={.items[0].status.containerStatuses[0].state.waiting.reason}',
        ],
        (said) => said === 'ErrImageNeverPull',
      );
      const events = await mission.events('offline-processing-');
      assert.ok(
        events.includes(
          'ErrImageNeverPull: Container image "local-built-image:v1" is not present with pull policy of Never',
        ),
        events.join('\n'),
      );
      assert.ok(!events.some((event) => event.startsWith('Pulling')));
      // Built elsewhere, saved to a file, carried here and loaded: the Pod that waits finds it.
      const script = tarOf({ path: 'bin/python', mode: 0o755, content: '#!/bin/sh\necho processed by $1\n' });
      const withPython = Buffer.concat([script.subarray(0, -1024), layer]);
      await pushTinyImage(mission.pusher(), withPython, 'build/local', 'v1');
      const file = join(root, 'built.tar');
      const remote = ['--cert-dir', join(root, 'certs.d'), '--authfile', await mission.adminLogin()];
      const source = `${mission.system.registry}/build/local:v1`;
      await mission.dray(['copy', ...remote, source, `archive:${file}:local-built-image:v1`]);
      await mission.dray(['load', '--input', file, '--root', root]);
      await ready('job', 'offline-processing', '.status.succeeded', '1');
      const said = await mission.kubectl.run(['logs', 'job/offline-processing']);
      assert.equal(said, 'processed by process.py\n');
    });

    test('D5 D6: a pull secret made from flags lets a Deployment of its namespace pull, and no other', async () => {
      await mission.registry(['user', 'create', 'reader', '--password-stdin'], 'secret-of-reader\n');
      await mission.registry(['project', 'create', 'private']);
      await mission.registry(['project', 'grant', 'private', 'reader', 'guest']);
      const create = (namespace: string, name: string): string[] => [
        'create',
        'secret',
        'docker-registry',
        name,
        '-n',
        namespace,
        `--docker-server=${REGISTRY}`,
        '--docker-username=reader',
        '--docker-password=secret-of-reader',
        '--docker-email=reader@my-company.com',
      ];
      await mission.kubectl.run(create('default', 'my-registry-secret'));
      await apply('private-app.yaml');
      await ready('deployment', 'private-app', '.status.readyReplicas', '2');
      // Another namespace has no such secret.
      await mission.kubectl.run(['create', 'namespace', 'elsewhere']);
      await mission.kubectl.run(['apply', '-n', 'elsewhere', '-f', manifestPath('private-app.yaml')]);
      await mission.kubectl.until(
        [
          'get',
          'pods',
          '-n',
          'elsewhere',
          '-o',
          'jsonpath={.items[0].status.containerStatuses[0].state.waiting.reason}',
        ],
        (said) => said === 'ErrImagePull' || said === 'ImagePullBackOff',
      );
      const refused = await mission.events('private-app-', 'elsewhere');
      assert.ok(
        refused.some((event) =>
          event.startsWith(
            'FailedToRetrieveImagePullSecret: Unable to retrieve some image pull secrets (my-registry-secret)',
          ),
        ),
        refused.join('\n'),
      );
      await mission.kubectl.run(['delete', 'namespace', 'elsewhere', '--wait=false']);
      await mission.kubectl.run(['delete', 'deployment', 'private-app', '--wait=false']);
    });

    test('D7: the secret of the default ServiceAccount reaches Pods that name none', async () => {
      const patch = '{"imagePullSecrets": [{"name": "my-registry-secret"}]}';
      await mission.kubectl.run(['patch', 'serviceaccount', 'default', '-p', patch]);
      await apply('sa-private-app.yaml');
      await ready('deployment', 'sa-private-app', '.status.readyReplicas', '2');
      const secrets = await mission.kubectl.run([
        'get',
        'pods',
        '-l',
        'app=sa-private-app',
        '-o',
        'jsonpath={.items[*].spec.imagePullSecrets[*].name}',
      ]);
      assert.equal(secrets, 'my-registry-secret my-registry-secret');
      await mission.kubectl.run(['delete', 'deployment', 'sa-private-app', '--wait=false']);
    });

    test('E2: image-preheat brings the image to the node', async () => {
      await apply('image-preheat.yaml');
      await mission.kubectl.until(
        ['get', 'node', '-o', 'jsonpath={.items[*].status.images[*].names}'],
        (said) => said.includes(`${REGISTRY}/private/app:v1.2`),
      );
      await mission.kubectl.until(
        [
          'get',
          'pods',
          '-l',
          'name=image-preheat',
          '-o',
          'jsonpath={.items[0].status.initContainerStatuses[0].state.terminated.exitCode}',
        ],
        (said) => said === '0',
      );
      await mission.kubectl.run(['delete', 'daemonset', 'image-preheat', '--wait=false']);
    });

    test('C1 C3: multi-arch-app runs on nodes whose processor the affinity names', async () => {
      await apply('multi-arch-app.yaml');
      await ready('deployment', 'multi-arch-app', '.status.readyReplicas', '3');
      await mission.kubectl.run(['delete', 'deployment', 'multi-arch-app', '--wait=false']);
    });

    test('D3: both queries for nodes, the private image, SUCCESS in the log; described as failed where access is missing', async () => {
      const names = await mission.kubectl.run([
        'get',
        'nodes',
        '-o',
        'jsonpath={range.items[*].metadata}{.name} {end}',
      ]);
      assert.match(names, /^\S+ $/);
      const addresses = await mission.kubectl.run([
        'get',
        'nodes',
        '-o',
        'jsonpath={range .items[*].status.addresses[?(@.type=="ExternalIP")]}{.address} {end}',
      ]);
      assert.equal(addresses, '');
      const text = await mission.manifest('private-image-test-1.yaml', {
        PRIVATE_IMAGE_NAME: `${REGISTRY}/private/app:v1.2`,
      });
      await mission.kubectl.run(['apply', '-f', '-'], text);
      assert.equal(
        await mission.kubectl.until(['logs', 'private-image-test-1'], (said) => said !== ''),
        'SUCCESS\n',
      );
      const other = await mission.manifest('private-image-test-1.yaml', {
        PRIVATE_IMAGE_NAME: `${REGISTRY}/user/privaterepo:v1`,
      });
      await mission.kubectl.run(
        ['apply', '-f', '-'],
        other.replace('name: private-image-test-1', 'name: private-image-test-2'),
      );
      const described = await mission.kubectl.until(['describe', 'pods/private-image-test-2'], (said) =>
        said.includes('Failed to pull image'),
      );
      assert.match(described, /Failed {2,}.*Failed to pull image "my-registry\.com\/user\/privaterepo:v1"/);
    });

    test('D8 E1: kubectl apply -k makes the Pod of the kustomization; a secret that is no docker config is refused as documented', async () => {
      await mission.kubectl.run(['create', 'namespace', 'awesomeapps']);
      const refused = await mission.kubectl.try(['create', '-f', manifestPath('myregistrykey.yaml')]);
      assert.equal(refused.code, 1);
      assert.match(
        refused.stderr,
        /^The Secret "myregistrykey" is invalid: data\[\.dockerconfigjson\]: Invalid value: "<secret contents redacted>": /,
      );
      await mission.kubectl.run(['apply', '-k', manifestPath('kustomized')]);
      await mission.kubectl.until(
        [
          'get',
          'pod',
          'foo',
          '-n',
          'awesomeapps',
          '-o',
          'jsonpath={.status.containerStatuses[0].state.waiting.reason}',
        ],
        (said) => said === 'ErrImagePull' || said === 'ImagePullBackOff',
      );
    });

    test('D5 D6: secrets of both types written by hand hold a login each, and the Pod that names one pulls', async () => {
      await mission.registry(['user', 'create', 'captain', '--password-stdin'], 'Captain888\n');
      await mission.registry(['project', 'create', 'captain']);
      await mission.registry(['project', 'grant', 'captain', 'captain', 'guest']);
      await mission.kubectl.run(['create', 'namespace', 'tom']);
      await mission.kubectl.until(
        ['get', 'serviceaccount', 'default', '-n', 'tom', '-o', 'name'],
        (said) => said !== '',
      );
      await apply('tom.yaml');
      await mission.kubectl.until(
        ['get', 'pod', 'foo', '-n', 'tom', '-o', 'jsonpath={.status.phase}'],
        (said) => said === 'Running',
      );
      const kinds = await mission.kubectl.run([
        'get',
        'secrets',
        '-n',
        'tom',
        '-o',
        'jsonpath={.items[*].type}',
      ]);
      assert.equal(kinds, 'kubernetes.io/dockerconfigjson kubernetes.io/dockercfg');
    });

    test('D7: an account edited by hand with what an old server gave is refused for its age, and replaced without it', async () => {
      const stale = await mission.kubectl.try(['replace', '-f', manifestPath('default-account-of-tom.yaml')]);
      assert.equal(stale.code, 1);
      assert.match(stale.stderr, /Operation cannot be fulfilled on serviceaccounts "default": /);
      const text = readFileSync(manifestPath('default-account-of-tom.yaml'), 'utf8');
      const without = text
        .split('\n')
        .filter((line) => !/^ {2}(resourceVersion|uid|selfLink|creationTimestamp):/.test(line))
        .join('\n');
      await mission.kubectl.run(['replace', '-f', '-'], without);
      const names = await mission.kubectl.run([
        'get',
        'serviceaccount',
        'default',
        '-n',
        'tom',
        '-o',
        'jsonpath={.imagePullSecrets[*].name}',
      ]);
      assert.equal(names, 'configjsons');
      assert.ok(readFileSync(join(root, 'kubeconfig'), 'utf8') !== '');
    });
  },
);
