import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Kubectl } from '../support/kubectl.ts';
import { runDray } from '../support/run-dray.ts';
import { makeRoot, removeRoot, startUp, type RunningSystem } from '../support/running-system.ts';
import { findKubectls } from '../support/tools.ts';

const ARGS = ['--api-port', '0', '--registry-port', '0', '--api-plain-port', '0'];

describe(
  'ways to the API',
  {
    skip: findKubectls().length === 0 ? 'needs kubectl, not installed on this machine' : false,
    concurrency: false,
  },
  () => {
    const root = makeRoot();
    const work = mkdtempSync(join(tmpdir(), 'drayage-access-'));
    let system: RunningSystem;
    const kubectlWith = (kubeconfig: string): Kubectl =>
      new Kubectl(findKubectls().at(-1) ?? '', { kubeconfig });
    const dray = async (...args: string[]): Promise<{ stdout: string; stderr: string }> => {
      const outcome = await runDray(args);
      assert.equal(outcome.code, 0, outcome.stderr);
      return outcome;
    };

    before(async () => {
      system = await startUp(root, ARGS);
    });
    after(async () => {
      await system.stop();
      removeRoot(root);
      rmSync(work, { recursive: true, force: true });
    });

    test('an entry is merged into a kubeconfig that has others, used by name, and taken out again', async () => {
      const config = join(work, 'config');
      writeFileSync(
        config,
        'apiVersion: v1\nkind: Config\ncurrent-context: other\nclusters: []\nusers: []\ncontexts: []\n',
      );
      const { stderr } = await dray('kubeconfig', '--root', root, '--merge', config);
      assert.match(stderr, /^Merged "drayage" into /);
      const kubectl = kubectlWith(config);
      assert.match(
        await kubectl.run(['--context', 'drayage', 'get', 'namespaces', '-o', 'name']),
        /namespace\/default/,
      );
      assert.equal((await kubectl.run(['config', 'current-context'])).trim(), 'other');
      await dray('kubeconfig', '--root', root, '--merge', config, '--use');
      assert.match(await kubectl.run(['get', 'namespaces', '-o', 'name']), /namespace\/default/);
      await kubectl.run(['config', 'set-cluster', 'drayage', '--server=https://elsewhere']);
      const again = await dray('kubeconfig', '--root', root, '--merge', config);
      assert.match(again.stderr, /^ {2}it led to https:\/\/elsewhere before; --name keeps both$/m);
      await dray('kubeconfig', '--root', root, '--merge', config, '--remove');
      assert.equal((await kubectl.run(['config', 'get-contexts', '-o', 'name'])).trim(), '');
      const absent = await runDray(['kubeconfig', '--root', root, '--merge', config, '--remove']);
      assert.deepEqual(
        [absent.code, absent.stderr],
        [1, 'dray: Cannot remove "drayage": the kubeconfig has no such entry\n'],
      );
      assert.equal((await runDray(['kubeconfig', '--root', root, '--user', ''])).code, 2);
    });

    test('a user of any name has a certificate of its own, and the rights that roles give it', async () => {
      const config = join(work, 'alice');
      const { stdout } = await dray(
        'kubeconfig',
        '--root',
        root,
        '--user',
        'alice',
        '--group',
        'team-a',
        '--group',
        'devs',
      );
      writeFileSync(config, stdout, { mode: 0o600 });
      const admin = kubectlWith(system.kubeconfig);
      const alice = kubectlWith(config);
      const refused = await alice.try(['get', 'pods']);
      assert.match(
        refused.stderr,
        /User "alice" cannot list resource "pods" in API group "" in the namespace "default"/,
      );
      await admin.run(['create', 'rolebinding', 'devs', '--clusterrole=view', '--group=devs']);
      assert.equal(await alice.run(['get', 'pods', '-o', 'name']), '');
      assert.equal((await alice.try(['auth', 'can-i', 'create', 'pods'])).stdout.trim(), 'no');
    });

    test('the API on plain loopback is reached without any credentials', async () => {
      const config = join(work, 'plain');
      const { stdout } = await dray('kubeconfig', '--root', root, '--plain');
      assert.match(stdout, /server: http:\/\/127\.0\.0\.1:/);
      writeFileSync(config, stdout, { mode: 0o600 });
      assert.match(await kubectlWith(config).run(['get', 'namespaces', '-o', 'name']), /namespace\/default/);
    });

    test('objects are copied away while the API serves, and come back', async () => {
      const file = join(work, 'objects.db');
      const admin = kubectlWith(system.kubeconfig);
      await admin.run(['create', 'configmap', 'kept', '--from-literal=a=1']);
      const { stdout } = await dray('api', 'backup', file, '--root', root);
      assert.match(stdout, /^\d+ objects at resource version \d+ written to /);
      await admin.run(['delete', 'configmap', 'kept']);
      await admin.run(['create', 'configmap', 'later']);
      const held = await runDray(['api', 'restore', file, '--root', root]);
      assert.equal(held.code, 1);
      assert.match(held.stderr, /it is held by process \d+ \(dray up/);
      // What people do with the kubeconfig of the system stays there, but for the way to the system.
      await admin.run(['config', 'set-context', 'drayage', '--namespace=kube-public']);
      await admin.run(['config', 'set-context', 'mine', '--cluster=drayage', '--user=drayage']);
      await admin.run(['config', 'use-context', 'mine']);
      await system.stop();
      assert.match((await dray('api', 'restore', file, '--root', root)).stdout, /^\d+ objects restored/);
      system = await startUp(root, ARGS.slice(0, 4));
      const after = kubectlWith(system.kubeconfig);
      const contexts = await after.run(['config', 'get-contexts', '--no-headers']);
      assert.match(contexts, /^\* +drayage +drayage +drayage +kube-public *\n +mine +drayage +drayage *\n$/);
      const names = await after.run(['get', 'configmaps', '-n', 'default', '-o', 'name']);
      assert.match(names, /configmap\/kept/);
      assert.doesNotMatch(names, /configmap\/later/);
      // What is no longer served is no longer offered.
      assert.equal(existsSync(join(root, 'kubeconfig-plain')), false);
      const gone = await runDray(['kubeconfig', '--root', root, '--plain']);
      assert.equal(gone.code, 2);
      assert.match(gone.stderr, /--api-plain-port/);
    });
  },
);
