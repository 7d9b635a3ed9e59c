import assert from 'node:assert/strict';
import { copyFile, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeTinyRoot } from '../../src/runtime/_tiny-root.ts';
import { clientDirectory } from '../support/registry-clients.ts';
import { makeRoot, removeRoot } from '../support/running-system.ts';
import { findKubectls, skipUnlessRoot, skipWithout } from '../support/tools.ts';
import { MissionSystem, OWN_ARCHITECTURE } from './mission-system.ts';

/* How images come to a node: made by whatever tool, under whatever name, from whatever registry, or by hand. */

const OTHER = OWN_ARCHITECTURE === 'arm64' ? 'amd64' : 'arm64';
const CLIENTS = ['buildah', 'skopeo', 'podman'] as const;

describe(
  'images',
  {
    skip: findKubectls().length === 0 ? 'needs kubectl, not installed on this machine' : false,
    concurrency: false,
  },
  () => {
    const root = makeRoot();
    let mission: MissionSystem;
    let registry: string;
    const certs = join(root, 'certs.d');

    before(async () => {
      mission = await MissionSystem.start(root);
      registry = mission.system.registry;
      const open = ['library', 'example', 'imagename', 'team', 'multi'];
      for (const name of open) await mission.registry(['project', 'create', name, '--public']);
    });
    after(async () => {
      await mission?.system.stop();
      removeRoot(root);
    });

    test(
      'A1 D1 D2: what buildah, skopeo and podman push runs, with the login file that any of them wrote',
      { skip: skipWithout(...CLIENTS) || skipUnlessRoot() },
      async (t) => {
        const clients = await clientDirectory(t);
        await mission.registry(['user', 'create', 'builder', '--password-stdin'], 'builds-images\n');
        await mission.registry(['project', 'create', 'built']);
        await mission.registry(['project', 'grant', 'built', 'builder', 'developer']);
        const tls = ['--cert-dir', mission.system.certsDirectory];
        const auths: string[] = [];
        for (const client of CLIENTS) {
          const file = join(clients.path, `${client}.json`);
          const login = ['-u', 'builder', '-p', 'builds-images', registry];
          await clients.must(client, 'login', '--authfile', file, ...tls, ...login);
          auths.push(JSON.stringify((JSON.parse(await readFile(file, 'utf8')) as { auths: object }).auths));
        }
        const own = join(clients.path, 'dray.json');
        const login = ['--authfile', own, '--cert-dir', certs, '-u', 'builder', '--password-stdin'];
        await mission.dray(['login', ...login, registry], 'builds-images\n');
        auths.push(JSON.stringify((JSON.parse(await readFile(own, 'utf8')) as { auths: object }).auths));
        assert.equal(new Set(auths).size, 1, auths.join('\n'));

        const files = await makeTinyRoot();
        t.after(() => rm(files, { recursive: true, force: true }));
        const buildah = async (...args: string[]): Promise<string> =>
          (await clients.must('buildah', ...clients.storage, ...args)).stdout.trim();
        const container = await buildah('from', 'scratch');
        await buildah('copy', container, files, '/');
        await buildah('commit', '--rm', container, 'localhost/built');
        const authed = ['--authfile', join(clients.path, 'buildah.json'), ...tls];
        await buildah('push', ...authed, 'localhost/built', `docker://${registry}/built/by-buildah:v1`);
        const layout = `oci:${join(clients.path, 'layout')}:v1`;
        await buildah('push', 'localhost/built', layout);
        const named = ['--dest-authfile', join(clients.path, 'skopeo.json')];
        const trusted = ['--dest-cert-dir', mission.system.certsDirectory];
        const target = `docker://${registry}/built/by-skopeo:v1`;
        await clients.must('skopeo', 'copy', ...named, ...trusted, layout, target);
        const podman = (...args: string[]): Promise<unknown> =>
          clients.must('podman', ...clients.storage, ...args);
        const byPodman = `${registry}/built/by-podman:v1`;
        await podman('tag', 'localhost/built', byPodman);
        await podman('push', '--authfile', join(clients.path, 'podman.json'), ...tls, byPodman);

        // The first of the eight places, before the node has looked for the first time.
        await copyFile(join(clients.path, 'podman.json'), join(root, 'config.json'));
        await mission.namespace('anybody');
        for (const client of CLIENTS)
          await mission.runOnce(client, `${registry}/built/by-${client}:v1`, { namespace: 'anybody' });
        for (const client of CLIENTS) await mission.succeeds(client, 'anybody');
      },
    );

    test('A2 A3: names with and without a host, a port and a path mean what they mean everywhere', async () => {
      const far = ['docker.io', 'fictional.registry.example', 'fictional.registry.example:10443'];
      await mission.standInFor(...far);
      const meant: Record<string, string> = {
        pause: 'docker.io/library/pause:latest',
        'example/mycontainer': 'docker.io/example/mycontainer:latest',
        'kube-apiserver': 'docker.io/library/kube-apiserver:latest',
        'fictional.registry.example/imagename': 'fictional.registry.example/imagename:latest',
        'fictional.registry.example:10443/imagename': 'fictional.registry.example:10443/imagename:latest',
      };
      for (const repository of [
        'library/pause',
        'example/mycontainer',
        'library/kube-apiserver',
        'imagename',
      ])
        await mission.push(repository, 'latest');
      const names = Object.keys(meant);
      const containers = names.map((image, index) => ({ name: `c${index}`, image, command: ['/bin/true'] }));
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'names' },
        spec: { restartPolicy: 'Never', containers },
      };
      await mission.kubectl.run(['apply', '-f', '-'], JSON.stringify(pod));
      await mission.waitFor('pod/names', 'jsonpath={.status.phase}=Succeeded');
      const policies = ['get', 'pod', 'names', '-o', 'jsonpath={.spec.containers[*].imagePullPolicy}'];
      assert.equal(await mission.kubectl.run(policies), names.map(() => 'Always').join(' '));
      const held = (await mission.dray(['images', '-o', 'name', '--root', root])).split('\n');
      for (const [name, full] of Object.entries(meant))
        assert.ok(held.includes(full), `${name}: ${held.join(' ')}`);
    });

    test('A4: a tag may be moved, a digest not; a tag that is none is named', async () => {
      const first = await mission.push('team/moving', 'V1.2_rc-3');
      await mission.push('team/moving', 'V1.2_rc-3', { adds: 'newer' });
      await mission.runOnce('pinned', `${registry}/team/moving@${first}`);
      await mission.runOnce('moved', `${registry}/team/moving:V1.2_rc-3`);
      await mission.succeeds('pinned');
      await mission.succeeds('moved');
      const id = (pod: string): Promise<string> =>
        mission.kubectl.run(['get', 'pod', pod, '-o', 'jsonpath={.status.containerStatuses[0].imageID}']);
      assert.equal(await id('pinned'), `${registry}/team/moving@${first}`);
      assert.notEqual(await id('moved'), await id('pinned'));
      const longest = `v${'1'.repeat(127)}`;
      await mission.push('team/moving', longest);
      await mission.runOnce('longest', `${registry}/team/moving:${longest}`);
      await mission.succeeds('longest');
      for (const [pod, tag] of [
        ['dot-first', '.v1'],
        ['too-long', `${longest}1`],
      ] as const) {
        await mission.runOnce(pod, `${registry}/team/moving:${tag}`);
        await mission.waitsFor(pod, 'InvalidImageName');
        await mission.kubectl.run(['delete', 'pod', pod, '--now', '--wait=false']);
      }
    });

    test('C1 C2: images of single platforms get one name; the index and each image by itself both work', async () => {
      const login = await mission.adminLogin();
      const remote = ['--cert-dir', certs, '--authfile', login];
      // Built on two machines, one for each platform: NAME-$(ARCH).
      for (const architecture of [OWN_ARCHITECTURE, OTHER])
        await mission.push(`multi/pause-${architecture}`, 'v1', { architecture });
      const workshop = ['--root', join(root, 'workshop')];
      const single = (architecture: string): string => `${registry}/multi/pause-${architecture}:v1`;
      for (const architecture of [OWN_ARCHITECTURE, OTHER]) {
        const platform = ['--platform', `linux/${architecture}`];
        await mission.dray(['pull', '-q', ...platform, ...remote, ...workshop, single(architecture)]);
      }
      const name = `${registry}/multi/pause:v1`;
      await mission.dray(['index', 'create', ...workshop, name, single(OWN_ARCHITECTURE), single(OTHER)]);
      await mission.dray(['push', '-q', '--all-platforms', ...remote, ...workshop, name]);
      await mission.runOnce('by-index', name);
      await mission.runOnce('by-architecture', single(OWN_ARCHITECTURE));
      await mission.succeeds('by-index');
      await mission.succeeds('by-architecture');
    });

    test('D4: an image that was brought by hand needs no registry and no login, for Never and IfNotPresent', async () => {
      await mission.push('team/carried', 'v1');
      const archive = join(root, 'carried.tar');
      const remote = ['--cert-dir', certs, '--authfile', await mission.adminLogin()];
      const name = 'nowhere.example/carried:v1';
      const place = `archive:${archive}:${name}`;
      await mission.dray(['copy', '-q', ...remote, `${registry}/team/carried:v1`, place]);
      await mission.dray(['load', '--input', archive, '--root', root]);
      for (const policy of ['Never', 'IfNotPresent'] as const) {
        const pod = `carried-${policy.toLowerCase()}`;
        await mission.runOnce(pod, name, { policy });
        await mission.succeeds(pod);
        assert.ok(!(await mission.events(pod)).some((event) => event.startsWith('Pulling')));
      }
      await mission.runOnce('carried-always', name, { policy: 'Always' });
      assert.match(await mission.failedPull('carried-always'), /nowhere\.example/);
      await mission.kubectl.run(['delete', 'pod', 'carried-always', '--now', '--wait=false']);
    });

    test('F4 E2: nodes that a DaemonSet has warmed start a roll-out without asking the registry', async () => {
      await mission.standInFor('my-registry.com');
      await mission.registry(['project', 'create', 'private', '--public']);
      await mission.push('private/app', 'v1.2');
      const file = new URL('manifests/image-preheat.yaml', import.meta.url);
      await mission.kubectl.run(['apply', '-f', '-'], await readFile(file, 'utf8'));
      const pods = ['get', 'pods', '-l', 'name=image-preheat', '-o'];
      const exit = 'jsonpath={.items[*].status.initContainerStatuses[0].state.terminated.exitCode}';
      await mission.kubectl.until([...pods, exit], (said) => said === '0');
      await mission.kubectl.run(['delete', 'daemonset', 'image-preheat', '--wait=false']);

      await mission.cutOff('my-registry.com');
      const image = '--image=my-registry.com/private/app:v1.2';
      await mission.kubectl.run(['create', 'deployment', 'rolled-out', image, '--replicas=3']);
      await mission.kubectl.run(['rollout', 'status', 'deployment/rolled-out', '--timeout=60s']);
      const events = await mission.events('rolled-out-');
      assert.ok(!events.some((event) => event.startsWith('Pulling')), events.join('\n'));
      await mission.kubectl.run(['delete', 'deployment', 'rolled-out', '--wait=false']);
    });
  },
);
