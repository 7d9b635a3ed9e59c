import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Agent, request } from 'undici';
import { makeRoot, removeRoot } from '../support/running-system.ts';
import { findKubectls } from '../support/tools.ts';
import { MissionSystem } from './mission-system.ts';

/* The four use cases of the documentation, each told to its end on one machine: one root, started with other flags. */

const DENIED = /pull access denied|failed to fetch (?:anonymous|oauth) token|not found|401|403/;

describe(
  'the use cases',
  {
    skip: findKubectls().length === 0 ? 'needs kubectl, not installed on this machine' : false,
    concurrency: false,
  },
  () => {
    const root = makeRoot();
    let mission: MissionSystem;
    let registry: string;

    const anonymous = async (path: string, bearer?: string): Promise<{ code: number; text: string }> => {
      const dispatcher = new Agent({ connect: { ca: readFileSync(join(root, 'pki', 'ca.crt')) } });
      const headers = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` };
      const answer = await request(`https://${registry}${path}`, { dispatcher, headers });
      const text = await answer.body.text();
      await dispatcher.close();
      return { code: answer.statusCode, text };
    };
    /** Expects that a Pod gets no image, that the node has tried, and that nothing of it ever ran. */
    const isRefused = async (pod: string, namespace = 'default'): Promise<void> => {
      await mission.waitsFor(pod, 'ErrImagePull', namespace);
      const events = await mission.events(pod, namespace);
      const failed = events.find((event) => event.startsWith('Failed: Failed to pull image'));
      assert.match(failed ?? '', DENIED, events.join('\n'));
      assert.ok(!events.some((event) => event.startsWith('Started')), events.join('\n'));
      await mission.kubectl.run(['delete', 'pod', pod, '-n', namespace, '--now', '--wait=false']);
    };
    const runs = async (pod: string, namespace = 'default'): Promise<void> => {
      assert.equal(await mission.printed(pod, namespace), 'SUCCESS\n');
      await mission.kubectl.run(['delete', 'pod', pod, '-n', namespace, '--now', '--wait=false']);
    };
    const isOnTheNode = async (image: string): Promise<void> => {
      const names = (await mission.dray(['images', '-o', 'name', '--root', root])).split('\n');
      assert.ok(names.includes(image), names.join('\n'));
    };
    /** `dray registry robot …` as the administrator of the machine calls it. */
    const robot = (...args: readonly string[]): Promise<string> =>
      mission.dray(['registry', 'robot', ...args, '--root', root]);

    before(async () => {
      mission = await MissionSystem.start(root);
      registry = mission.system.registry;
      await mission.registry(['project', 'create', 'library', '--public']);
      for (const name of ['company', 'team-a', 'team-b']) await mission.registry(['project', 'create', name]);
      for (const name of ['library/open', 'company/app', 'team-a/app', 'team-b/app'])
        await mission.push(name, 'v1');
    });
    after(async () => {
      await mission?.system.stop();
      removeRoot(root);
    });

    test('D11: public images only: a Pod runs with no secret, no login and no configuration', async () => {
      // What a cloud does by itself: pulls of Docker Hub go to a mirror nearby.
      await mission.standInFor('docker.io');
      await mission.runOnce('public', 'open:v1');
      await runs('public');
      assert.equal(await mission.kubectl.run(['get', 'secrets', '-o', 'name']), '');
      const account = ['get', 'serviceaccount', 'default', '-o', 'jsonpath={.imagePullSecrets}'];
      assert.equal(await mission.kubectl.run(account), '');
      // Somebody else's image is not public because this one is.
      await mission.runOnce('not-public', `${registry}/company/app:v1`);
      await isRefused('not-public');
    });

    test('D11: many tenants: each runs its own image with its own robot, and neither the other’s that lies on the node', async () => {
      for (const team of ['team-a', 'team-b']) await mission.namespace(team);
      // One team is handed a Secret as a file …
      const secret = await robot('create', '--project', 'team-a', '--pull', '-o', 'secret', '-n', 'team-a');
      await mission.kubectl.run(['apply', '-f', '-'], secret);
      const named = { namespace: 'team-a', secrets: ['robot.team-a.pull'] };
      await mission.runOnce('own', `${registry}/team-a/app:v1`, named);
      await runs('own', 'team-a');
      // … the other has it put into its namespace and its account.
      const cluster = ['--kubeconfig', mission.system.kubeconfig, '-n', 'team-b'];
      assert.equal(await robot('create', '--project', 'team-b', '--pull', ...cluster), 'robot.team-b.pull\n');
      await mission.runOnce('own', `${registry}/team-b/app:v1`, { namespace: 'team-b' });
      await runs('own', 'team-b');

      for (const team of ['team-a', 'team-b']) await isOnTheNode(`${registry}/${team}/app:v1`);
      await mission.runOnce('others', `${registry}/team-b/app:v1`, { ...named, policy: 'IfNotPresent' });
      await mission.runOnce('others', `${registry}/team-a/app:v1`, {
        namespace: 'team-b',
        policy: 'IfNotPresent',
      });
      await isRefused('others', 'team-a');
      await isRefused('others', 'team-b');
      // Nor does the name of the other's secret help: secrets are those of the Pod's own namespace.
      const borrowed = { namespace: 'team-b', secrets: ['robot.team-a.pull'] };
      await mission.runOnce('borrows', `${registry}/team-a/app:v1`, borrowed);
      await isRefused('borrows', 'team-b');
    });

    test('D11 D1 D2: hidden from outside and open inside: a login on the node serves every Pod of every namespace', async () => {
      const manifest = '/v2/company/app/manifests/v1';
      assert.equal((await anonymous(manifest)).code, 401);
      const issued = await anonymous('/token?service=drayage&scope=repository:company/app:pull');
      if (issued.code === 200) {
        const { token } = JSON.parse(issued.text) as { token: string };
        assert.ok([401, 403, 404].includes((await anonymous(manifest, token)).code));
      }
      assert.ok(!(await anonymous('/v2/_catalog')).text.includes('company'));

      await mission.registry(['user', 'create', 'node', '--password-stdin'], 'password-of-the-node\n');
      await mission.registry(['project', 'grant', 'company', 'node', 'guest']);
      const login = ['--authfile', join(root, 'config.json'), '--cert-dir', join(root, 'certs.d')];
      await mission.dray(
        ['login', ...login, '-u', 'node', '--password-stdin', registry],
        'password-of-the-node\n',
      );
      await mission.restart();
      await mission.namespace('anybody');
      for (const namespace of ['default', 'anybody']) {
        await mission.runOnce('inside', `${registry}/company/app:v1`, { namespace });
        await runs('inside', namespace);
      }
      await isOnTheNode(`${registry}/company/app:v1`);
    });

    test('D11 D4: without strict access, what the node pulled with its own login is for every Pod, also when the login is gone', async () => {
      await rm(join(root, 'config.json'));
      await mission.restart();
      await mission.runOnce('anybody', `${registry}/company/app:v1`);
      await runs('anybody');
    });

    test('D11 B7: strict access: with AlwaysPullImages no Pod without a login uses what is on the node', async () => {
      await mission.restart('--enable-admission-plugins=AlwaysPullImages');
      await isOnTheNode(`${registry}/company/app:v1`);
      await mission.runOnce('without', `${registry}/company/app:v1`, { policy: 'IfNotPresent' });
      const policy = ['get', 'pod', 'without', '-o', 'jsonpath={.spec.containers[0].imagePullPolicy}'];
      assert.equal(await mission.kubectl.run(policy), 'Always');
      await isRefused('without');
      await mission.kubectl.run([
        'create',
        'secret',
        'docker-registry',
        'company',
        `--docker-server=${registry}`,
        '--docker-username=node',
        '--docker-password=password-of-the-node',
      ]);
      await mission.runOnce('with', `${registry}/company/app:v1`, { secrets: ['company'] });
      await runs('with');
    });

    test('D11 B7: many tenants with AlwaysPullImages: the same two teams, and the same separation', async () => {
      const teamA = { namespace: 'team-a', secrets: ['robot.team-a.pull'] };
      await mission.runOnce('strict', `${registry}/team-a/app:v1`, teamA);
      await mission.runOnce('strict', `${registry}/team-b/app:v1`, { namespace: 'team-b' });
      await mission.runOnce('strict-others', `${registry}/team-b/app:v1`, teamA);
      await mission.runOnce('strict-others', `${registry}/team-a/app:v1`, { namespace: 'team-b' });
      for (const team of ['team-a', 'team-b']) {
        await runs('strict', team);
        await isRefused('strict-others', team);
      }
    });

    test('D11 F5: a robot’s secret is exchanged while the old one is still good, and then only the new one is', async () => {
      const image = `${registry}/team-a/app:v1`;
      const teamA = { namespace: 'team-a', secrets: ['robot.team-a.pull'] };
      const fresh = await robot('rotate', 'robot.team-a.pull', '-o', 'secret', '-n', 'team-a');
      // The Secret of the cluster is still the old one: a roll-out that is under way goes on.
      await mission.runOnce('overlap', image, teamA);
      await runs('overlap', 'team-a');
      await mission.kubectl.run(['apply', '-f', '-'], fresh);
      await mission.runOnce('exchanged', image, teamA);
      await runs('exchanged', 'team-a');

      const last = await robot(
        'rotate',
        'robot.team-a.pull',
        '--overlap-hours',
        '0',
        '-o',
        'secret',
        '-n',
        'team-a',
      );
      // Tokens are good for minutes; a node that holds none must show its secret.
      await mission.restart('--enable-admission-plugins=AlwaysPullImages');
      await mission.runOnce('outdated', image, teamA);
      await isRefused('outdated', 'team-a');
      await mission.kubectl.run(['apply', '-f', '-'], last);
      await mission.runOnce('renewed', image, teamA);
      await runs('renewed', 'team-a');

      // With --kubeconfig the exchange in the cluster is part of the rotation.
      const cluster = ['--kubeconfig', mission.system.kubeconfig, '-n', 'team-b'];
      await robot('rotate', 'robot.team-b.pull', '--overlap-hours', '0', ...cluster);
      await mission.runOnce('rotated', `${registry}/team-b/app:v1`, { namespace: 'team-b' });
      await runs('rotated', 'team-b');
    });
  },
);
