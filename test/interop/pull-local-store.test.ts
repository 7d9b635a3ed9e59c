import assert from 'node:assert/strict';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { hostPlatform } from '../../src/oci/host-platform.ts';
import { FaultRegistry, sha256 } from '../support/fault-registry.ts';
import { Kubectl } from '../support/kubectl.ts';
import { clientDirectory } from '../support/registry-clients.ts';
import { runDray } from '../support/run-dray.ts';
import { makeRoot, removeRoot, startUp } from '../support/running-system.ts';
import { findKubectls, skipWithout } from '../support/tools.ts';
import { tinyLayer } from '../node/real-image.ts';
import { gzipSync } from 'node:zlib';

/*
 * The store of a running system without any registry: what was loaded into it runs, and other tools read it as the OCI layout that it is.
 */

const skip =
  skipWithout('skopeo', 'podman') ||
  (findKubectls().length === 0 ? 'needs kubectl, not installed on this machine' : false);

const pod = (name: string, image: string, policy: string): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: {
    restartPolicy: 'Never',
    containers: [
      { name: 'main', image, imagePullPolicy: policy, command: ['/bin/sh', '-c', 'echo SUCCESS'] },
    ],
  },
});

describe('images of the store of a running system', { skip, concurrency: false }, () => {
  test('what was loaded runs without a registry, and skopeo and podman read it meanwhile', async (t) => {
    const root = makeRoot();
    const directory = await mkdtemp(join(tmpdir(), 'dray-local-'));
    const source = await FaultRegistry.start();
    const system = await startUp(root);
    t.after(async () => {
      await system.stop();
      await source.close();
      removeRoot(root);
      await rm(directory, { recursive: true, force: true });
    });
    const env = { HOME: directory, XDG_RUNTIME_DIR: directory, DOCKER_CONFIG: directory };
    const must = async (...args: readonly string[]): Promise<string> => {
      const { code, stdout, stderr } = await runDray([...args, '--root', root], { env });
      assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
      return stdout;
    };
    const layer = await tinyLayer();
    const { os, architecture } = hostPlatform();
    const built = source.putImage('built', 'v1', [{ bytes: gzipSync(layer), diffId: sha256(layer) }], {
      os,
      architecture,
    });
    const archive = join(directory, 'built.tar');
    await must('copy', '-q', `${source.host}/built:v1`, `archive:${archive}:team.local/built:v1`);
    source.requests.length = 0;

    assert.equal(await must('load', '-i', archive), 'Loaded: team.local/built:v1\n');
    const kubectl = new Kubectl(findKubectls().at(-1) ?? '', system);
    const manifests: [string, object][] = [
      ['never', pod('never', 'team.local/built:v1', 'Never')],
      ['if-not-present', pod('if-not-present', 'team.local/built:v1', 'IfNotPresent')],
      ['by-digest', pod('by-digest', `team.local/built@${built.manifest.digest}`, 'IfNotPresent')],
      ['absent', pod('absent', 'team.local/absent:v1', 'Never')],
    ];
    for (const [name, document] of manifests) {
      await writeFile(join(directory, `${name}.json`), JSON.stringify(document));
      await kubectl.run(['apply', '-f', join(directory, `${name}.json`)]);
    }
    for (const name of ['never', 'if-not-present', 'by-digest']) {
      const phase = ['get', 'pod', name, '-o', 'jsonpath={.status.phase}'];
      await kubectl.until(phase, (said) => said === 'Succeeded');
      assert.equal(await kubectl.run(['logs', name]), 'SUCCESS\n');
    }
    const reason = [
      'get',
      'pod',
      'absent',
      '-o',
      'jsonpath={.status.containerStatuses[0].state.waiting.reason}',
    ];
    await kubectl.until(reason, (said) => said === 'ErrImageNeverPull');
    assert.deepEqual(source.requests, [], 'nobody asked a registry');

    const client = await clientDirectory(t);
    const layout = join(root, 'content');
    const inspected = await client.must('skopeo', 'inspect', '--raw', `oci:${layout}:team.local/built:v1`);
    assert.equal(sha256(inspected.stdout), built.manifest.digest);
    await client.must(
      'skopeo',
      'copy',
      `oci:${layout}:team.local/built:v1`,
      `dir:${join(directory, 'copied')}`,
    );
    // podman takes a path for the beginning of a name, which has no capital letters.
    const lower = join(tmpdir(), `dray-layout-${process.pid}`);
    await symlink(layout, lower);
    t.after(() => rm(lower));
    const place = `oci:${lower}:team.local/built:v1`;
    const pulled = await client.must('podman', ...client.storage, 'pull', '-q', place);
    assert.equal(`sha256:${pulled.stdout.trim()}`, built.config.digest);

    // Commands go on while the system runs, and a collection takes nothing that is named.
    await must('gc', '--verify');
    assert.equal(
      await must('images', '-o', 'name').then((names) => names.includes('team.local/built:v1')),
      true,
    );
    await must('pull', '-q', '--insecure-registry', source.host, `${source.host}/built:v1`);
    assert.equal(source.count('GET', /blobs/), 0, 'all of it was there');
    await must('rmi', '--no-gc', 'team.local/built:v1');
  });
});
