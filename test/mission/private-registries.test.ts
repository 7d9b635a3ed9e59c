import assert from 'node:assert/strict';
import { lookup } from 'node:dns/promises';
import { mkdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeCertificates } from '../support/certificates.ts';
import { startDockerRegistry } from '../support/docker-registry.ts';
import { makeRoot, removeRoot } from '../support/running-system.ts';
import { serveRegistry } from '../support/serve-registry.ts';
import { findKubectls, skipWithout } from '../support/tools.ts';
import { MissionSystem } from './mission-system.ts';

/* Registries that want something of a node before they give: a login, trust, TLS; and what is said while they do not get it. */

/** Whether this machine's name is an address of its own that clients do not treat as local. */
const OWN_NAME = await lookup(hostname()).then(
  ({ address }) => (address === '127.0.0.1' ? false : 'needs a host name that is 127.0.0.1 here'),
  () => 'needs a host name that resolves',
);

describe(
  'private registries',
  {
    skip: findKubectls().length === 0 ? 'needs kubectl, not installed on this machine' : false,
    concurrency: false,
  },
  () => {
    const root = makeRoot();
    const certs = join(root, 'certs.d');
    let mission: MissionSystem;
    let registry: string;

    before(async () => {
      mission = await MissionSystem.start(root);
      registry = mission.system.registry;
      await mission.registry(['project', 'create', 'team', '--public']);
    });
    after(async () => {
      await mission?.system.stop();
      removeRoot(root);
    });

    test(
      'D10 D5 D6: another registry is the private one, and its robot has a name as Harbor gives them',
      { skip: skipWithout('docker-registry') },
      async (t) => {
        const robot = { name: 'robot$team+puller', password: 'secret-of-the-robot' };
        const host = await startDockerRegistry(t, robot);
        const login = await mission.adminLogin();
        await mission.dray(
          ['login', '--authfile', login, '-u', robot.name, '--password-stdin', host],
          robot.password,
        );
        await mission.push('team/elsewhere', 'v1');
        const image = `${host}/team/elsewhere:v1`;
        const remote = ['--cert-dir', certs, '--authfile', login];
        await mission.dray(['copy', '-q', ...remote, `${registry}/team/elsewhere:v1`, image]);

        await mission.runOnce('no-robot', image);
        assert.match(await mission.failedPull('no-robot'), /authorization failed: no basic auth credentials/);
        await mission.kubectl.run(['delete', 'pod', 'no-robot', '--now', '--wait=false']);
        await mission.kubectl.run([
          'create',
          'secret',
          'docker-registry',
          'elsewhere',
          `--docker-server=${host}`,
          `--docker-username=${robot.name}`,
          `--docker-password=${robot.password}`,
        ]);
        await mission.runOnce('robot', image, { secrets: ['elsewhere'] });
        await mission.succeeds('robot');
      },
    );

    const AUTHORITIES: readonly {
      how: string;
      skip: string | false;
      /** What the name of the image begins with, for a registry on this port. */
      host: (port: string) => string;
      files: (port: string) => Record<string, string>;
      trust: (directory: string, port: string, ca: string) => Promise<void>;
    }[] = [
      {
        how: 'docker keeps it, as HOST/ca.crt',
        skip: OWN_NAME,
        host: (port) => `${hostname()}:${port}`,
        files: () => ({}),
        trust: (directory, _, ca) => writeFile(join(directory, 'ca.crt'), ca),
      },
      {
        how: 'containerd names it, in hosts.toml',
        skip: false,
        host: () => 'company.example',
        files: (port) => ({ 'hosts.toml': `server = "https://127.0.0.1:${port}"\n` }),
        trust: async (directory, port, ca) => {
          await writeFile(join(directory, 'company.crt'), ca);
          const text = `server = "https://127.0.0.1:${port}"\nca = "company.crt"\n`;
          await writeFile(join(directory, 'hosts.toml'), text);
        },
      },
    ];
    for (const [index, { how, skip, host, files, trust }] of AUTHORITIES.entries()) {
      test(
        `D12: a certificate that nobody vouches for is refused until its authority is where ${how}`,
        { skip },
        async (t) => {
          const certificates = await makeCertificates(t, ['127.0.0.1', hostname()]);
          const other = await serveRegistry(t, { tls: certificates.server });
          const port = other.host.replace(/^.*:/, '');
          const name = host(port);
          const login = await mission.adminLogin();
          await mission.push('team/app', 'v1');
          // The node and this tool take 127.0.0.1 for this machine, whose certificates they do not ask for.
          const ends = [`${registry}/team/app:v1`, `${other.host}/app:v1`];
          await mission.dray(['copy', '-q', '--cert-dir', certs, '--authfile', login, ...ends]);

          const directory = join(certs, name);
          await mkdir(directory);
          for (const [file, text] of Object.entries(files(port)))
            await writeFile(join(directory, file), text);
          await mission.runOnce(`distrusts-${index}`, `${name}/app:v1`);
          assert.match(
            await mission.failedPull(`distrusts-${index}`),
            /tls: failed to verify certificate: x509: certificate signed by unknown authority/,
          );
          await trust(directory, port, certificates.ca);
          // The node reads it with the next pull: nothing has to be started again.
          await mission.runOnce(`trusts-${index}`, `${name}/app:v1`);
          await mission.succeeds(`trusts-${index}`);
          await mission.kubectl.run(['delete', 'pod', `distrusts-${index}`, '--now', '--wait=false']);
        },
      );
    }

    test('D12: a registry without TLS is not spoken to unless the node’s configuration says so', async (t) => {
      const plain = await serveRegistry(t);
      await mission.push('app', 'v1', { to: plain });
      const directory = join(certs, 'plain.example');
      await mkdir(directory);
      const hosts = join(directory, 'hosts.toml');
      await writeFile(hosts, `server = "https://${plain.host}"\n`);
      await mission.runOnce('wary', 'plain.example/app:v1');
      assert.match(await mission.failedPull('wary'), /http: server gave HTTP response to HTTPS client/);
      await writeFile(hosts, `server = "http://${plain.host}"\n`);
      await mission.runOnce('allowed', 'plain.example/app:v1');
      await mission.succeeds('allowed');
      await mission.kubectl.run(['delete', 'pod', 'wary', '--now', '--wait=false']);
    });

    test('F1 F3: a pull that fails is tried again with pauses; events, secret, login by hand and dray explain say why', async () => {
      await mission.standInFor('sealed.example');
      await mission.registry(['user', 'create', 'reader', '--password-stdin'], 'right-password\n');
      await mission.registry(['project', 'create', 'sealed']);
      await mission.registry(['project', 'grant', 'sealed', 'reader', 'guest']);
      await mission.push('sealed/app', 'v1');
      const secret = (password: string): string[] => [
        'create',
        'secret',
        'docker-registry',
        'sealed',
        '--docker-server=sealed.example',
        '--docker-username=reader',
        `--docker-password=${password}`,
      ];
      await mission.kubectl.run(secret('wrong-password'));
      await mission.runOnce('stuck', 'sealed.example/sealed/app:v1', { secrets: ['sealed'] });
      assert.match(await mission.failedPull('stuck'), /failed to authorize: failed to fetch oauth token/);
      // By hand: the password is the cause.
      const login = ['login', '--authfile', join(root, 'by-hand.json'), '--cert-dir', certs, '-u', 'reader'];
      await assert.rejects(
        mission.dray([...login, '--password-stdin', 'sealed.example'], 'wrong-password'),
        /the registry refuses this user name with this password/,
      );
      await mission.dray([...login, '--password-stdin', 'sealed.example'], 'right-password');
      await mission.waitsFor('stuck', 'ImagePullBackOff');
      const events = await mission.events('stuck');
      for (const wanted of [
        'Pulling: Pulling image "sealed.example/sealed/app:v1"',
        'Failed: Error: ErrImagePull',
        'BackOff: Back-off pulling image "sealed.example/sealed/app:v1"',
        'Failed: Error: ImagePullBackOff',
      ])
        assert.ok(events.includes(wanted), `${wanted}\n${events.join('\n')}`);
      assert.ok(!events.join('\n').includes('wrong-password'));

      const kubeconfig = ['--kubeconfig', mission.system.kubeconfig, '-n', 'default', '--no-node-files'];
      const explained = await mission.dray(['explain', ...kubeconfig, 'pod/stuck']);
      assert.match(explained, /credentials {2}1\. Secret default\/sealed, key "sealed\.example"/);
      // What was tried and what the registry said is kept for every pull.
      const pulls = await mission.dray(['pulls', '--root', root, '-o', 'json']);
      const records = JSON.parse(pulls) as { id: string; image: string }[];
      const record = records.find(({ image }) => image === 'sealed.example/sealed/app:v1');
      const told = await mission.dray(['pulls', '--root', root, record?.id ?? '']);
      assert.match(told, /^\S+ +401 .*Secret default\/sealed.*\/token/m, told);
      assert.ok(!told.includes('wrong-password'));
      assert.ok(!pulls.includes('wrong-password'));
      await mission.kubectl.run(['delete', 'secret', 'sealed']);
      await mission.kubectl.run(secret('right-password'));
      // No new Pod: the one that waits finds the secret when its pause has ended.
      await mission.succeeds('stuck');
    });
  },
);
