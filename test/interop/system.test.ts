import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { clientDirectory } from '../support/registry-clients.ts';
import { Kubectl } from '../support/kubectl.ts';
import { makeRoot, removeRoot, startUp, type RunningSystem } from '../support/running-system.ts';
import { findKubectls, findTool, skipUnlessRoot, skipWithout } from '../support/tools.ts';

/** A small image for clients to push: one program of this machine, as an archive that every tool loads. */
function busyImage(directory: string, platform = 'linux/amd64'): string {
  const layout = join(directory, `image-${platform.replaceAll('/', '-')}`);
  const source = `
    import { openFileStore } from ${JSON.stringify(new URL('../../src/content/file-store.ts', import.meta.url).href)};
    import { buildImage, buildLayer } from ${JSON.stringify(new URL('../../src/images/build-image.ts', import.meta.url).href)};
    import { filesOfProgram } from ${JSON.stringify(new URL('../../src/daemon/host-program.ts', import.meta.url).href)};
    import { writeFile } from 'node:fs/promises';
    const signal = new AbortController().signal;
    const store = await openFileStore(process.argv[1]);
    const files = new Map();
    for (const name of ['sh', 'echo', 'cat', 'sleep', 'id', 'env']) for (const file of (await filesOfProgram(name)).files) files.set(file.path, file);
    const layer = await buildLayer(store, [...files.values()].map((f) => ({ kind: 'file', path: f.path, from: f.source, mode: 0o755 })), signal);
    const [os, architecture] = process.argv[2].split('/');
    const image = await buildImage(store, { layers: [layer], platform: { os, architecture }, config: { Env: ['PATH=/bin:/usr/bin'], Cmd: ['/bin/sh'] } }, signal);
    const { platform, ...descriptor } = image.manifest;
    await writeFile(process.argv[1] + '/index.json', JSON.stringify({ schemaVersion: 2, manifests: [{ ...descriptor, ...(process.argv[3] === 'index' ? { platform } : {}), annotations: { 'org.opencontainers.image.ref.name': 'v1' } }] }));
  `;
  const made = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', source, layout, platform],
    { encoding: 'utf8' },
  );
  assert.equal(made.status, 0, made.stderr);
  return layout;
}

describe(
  'a running system',
  {
    skip:
      skipWithout('skopeo') ||
      (findKubectls().length === 0 ? 'needs kubectl, not installed on this machine' : false),
    concurrency: false,
  },
  () => {
    const root = makeRoot();
    const work = mkdtempSync(join(tmpdir(), 'drayage-interop-'));
    let system: RunningSystem;
    let kubectl: Kubectl;

    before(async () => {
      system = await startUp(root);
      kubectl = new Kubectl(findKubectls().at(-1) ?? '', system);
      spawnSync('skopeo', [
        'copy',
        '--dest-cert-dir',
        system.certsDirectory,
        '--dest-creds',
        `admin:${system.adminPassword}`,
        `oci:${busyImage(work)}:v1`,
        `docker://${system.registry}/team/tools:v1`,
      ]);
      await kubectl.run([
        'create',
        'secret',
        'docker-registry',
        'regcred',
        `--docker-server=${system.registry}`,
        '--docker-username=admin',
        `--docker-password=${system.adminPassword}`,
      ]);
      await kubectl.run([
        'patch',
        'serviceaccount',
        'default',
        '-p',
        '{"imagePullSecrets":[{"name":"regcred"}]}',
      ]);
    });

    after(async () => {
      await system?.stop();
      removeRoot(root);
      rmSync(work, { recursive: true, force: true });
    });

    const pod = (name: string, spec: object): string =>
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name },
        spec: { restartPolicy: 'Never', terminationGracePeriodSeconds: 1, ...spec },
      });
    const shell = (script: string, more: object = {}): object => ({
      containers: [
        { name: 'c', image: `${system.registry}/team/tools:v1`, command: ['/bin/sh', '-c', script], ...more },
      ],
    });

    for (const binary of findKubectls()) {
      test(`D3 D5 D7 E1: the check of the mission runs with ${spawnSync(binary, ['version', '--client', '--short'], { encoding: 'utf8' }).stdout.trim().split('\n')[0] || binary}`, async () => {
        const k = new Kubectl(binary, system);
        const name = `check-${findKubectls().indexOf(binary)}`;
        assert.match(await k.run(['version']), /1\.36/);
        assert.match(await k.run(['api-resources']), /^pods\s+po\s+v1\s+true\s+Pod$/m);
        assert.match(
          await k.run(['get', 'nodes', '-o', 'jsonpath={range.items[*].metadata}{.name} {end}']),
          /^\S+ $/,
        );
        assert.equal(
          await k.run([
            'get',
            'nodes',
            '-o',
            'jsonpath={range .items[*].status.addresses[?(@.type=="ExternalIP")]}{.address} {end}',
          ]),
          '',
        );
        const manifest = `apiVersion: v1\nkind: Pod\nmetadata:\n  name: ${name}\nspec:\n  containers:\n    - name: uses-private-image\n      image: ${system.registry}/team/tools:v1\n      imagePullPolicy: Always\n      command: [ "echo", "SUCCESS" ]\n`;
        assert.equal(await k.run(['apply', '-f', '-'], manifest), `pod/${name} created\n`);
        assert.equal(await k.run(['apply', '-f', '-'], manifest), `pod/${name} unchanged\n`);
        await k.until(['logs', name], (log) => log === 'SUCCESS\n');
        assert.match(
          await k.run(['describe', 'pod', name]),
          /Successfully pulled image|Container image .* already present/,
        );
        assert.match(await k.run(['get', 'pod', name, '-o', 'wide']), new RegExp(`^${name}\\s`, 'm'));
        assert.match(
          await k.run(['get', 'events', '--field-selector', `involvedObject.name=${name}`]),
          /Pulling image/,
        );
        assert.match(await k.run(['get', 'pod', name, '-o', 'yaml']), /imagePullPolicy: Always/);
        assert.equal(
          await k.run(['delete', 'pod', name]),
          `pod "${name}" deleted${binary === findKubectls()[0] && findKubectls().length > 1 ? '' : ' from default namespace'}\n`,
        );
      });
    }

    test('wait, exit codes and logs -f follow a Pod to its end', async () => {
      await kubectl.run(
        ['apply', '-f', '-'],
        pod('runs', shell('for i in 1 2 3; do echo line $i; sleep 0.2; done; exit 7')),
      );
      await kubectl.run(['wait', '--for=jsonpath={.status.phase}=Failed', 'pod/runs', '--timeout=60s']);
      assert.equal(await kubectl.run(['logs', '-f', 'runs']), 'line 1\nline 2\nline 3\n');
      const terminated = await kubectl.run([
        'get',
        'pod',
        'runs',
        '-o',
        'jsonpath={.status.containerStatuses[0].state.terminated.exitCode}/{.status.containerStatuses[0].state.terminated.reason}',
      ]);
      assert.equal(terminated, '7/Error');
    });

    test('restartPolicy Always restarts and then backs off, OnFailure leaves a success alone', async () => {
      await kubectl.run(['apply', '-f', '-'], pod('again', { ...shell('exit 3'), restartPolicy: 'Always' }));
      await kubectl.run(
        ['apply', '-f', '-'],
        pod('done', { ...shell('exit 0'), restartPolicy: 'OnFailure' }),
      );
      await kubectl.until(
        ['get', 'pod', 'again', '-o', 'jsonpath={.status.containerStatuses[0].state.waiting.reason}'],
        (reason) => reason === 'CrashLoopBackOff',
      );
      assert.equal(
        await kubectl.until(
          ['get', 'pod', 'done', '-o', 'jsonpath={.status.phase}'],
          (phase) => phase === 'Succeeded',
        ),
        'Succeeded',
      );
      await kubectl.run(['delete', 'pod', 'again', 'done', '--now']);
    });

    test(
      'A1 D2: podman logs in with the password file, pushes, and the Pod that names its image runs',
      { skip: skipWithout('podman') || skipUnlessRoot() },
      async (t) => {
        const clients = await clientDirectory(t);
        await clients.must(
          'podman',
          'login',
          '--authfile',
          clients.authFile,
          '--cert-dir',
          system.certsDirectory,
          '-u',
          'admin',
          '-p',
          system.adminPassword,
          system.registry,
        );
        await clients.must(
          'podman',
          ...clients.storage,
          'pull',
          '--authfile',
          clients.authFile,
          '--cert-dir',
          system.certsDirectory,
          `${system.registry}/team/tools:v1`,
        );
        await clients.must(
          'podman',
          ...clients.storage,
          'tag',
          `${system.registry}/team/tools:v1`,
          `${system.registry}/team/podman:v1`,
        );
        await clients.must(
          'podman',
          ...clients.storage,
          'push',
          '--authfile',
          clients.authFile,
          '--cert-dir',
          system.certsDirectory,
          `${system.registry}/team/podman:v1`,
        );
        await kubectl.run(
          ['apply', '-f', '-'],
          pod('from-podman', {
            containers: [
              {
                name: 'c',
                image: `${system.registry}/team/podman:v1`,
                command: ['echo', 'pushed by podman'],
              },
            ],
          }),
        );
        await kubectl.until(['logs', 'from-podman'], (log) => log === 'pushed by podman\n');
      },
    );

    test('C4: an index without this machine’s platform is refused in the words of the runtime', async () => {
      const layout = busyImage(work, 'linux/s390x');
      // skopeo keeps an index only when it is told to copy all of it.
      const index = join(work, 'foreign');
      spawnSync('cp', ['-r', layout, index]);
      const tool = join(work, 'index.mjs');
      writeFileSync(
        tool,
        `import { readFileSync, writeFileSync } from 'node:fs'; import { createHash } from 'node:crypto';
       const d = process.argv[2]; const top = JSON.parse(readFileSync(d + '/index.json', 'utf8'));
       const { annotations, ...m } = top.manifests[0];
       const body = JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [{ ...m, platform: { os: 'linux', architecture: 's390x' } }] });
       const hex = createHash('sha256').update(body).digest('hex'); writeFileSync(d + '/blobs/sha256/' + hex, body);
       writeFileSync(d + '/index.json', JSON.stringify({ schemaVersion: 2, manifests: [{ mediaType: 'application/vnd.oci.image.index.v1+json', digest: 'sha256:' + hex, size: body.length, annotations }] }));`,
      );
      assert.equal(spawnSync(process.execPath, [tool, index]).status, 0);
      const copied = spawnSync(
        'skopeo',
        [
          'copy',
          '--all',
          '--dest-cert-dir',
          system.certsDirectory,
          '--dest-creds',
          `admin:${system.adminPassword}`,
          `oci:${index}:v1`,
          `docker://${system.registry}/team/foreign:v1`,
        ],
        { encoding: 'utf8' },
      );
      assert.equal(copied.status, 0, copied.stderr);
      await kubectl.run(
        ['apply', '-f', '-'],
        pod('foreign', { containers: [{ name: 'c', image: `${system.registry}/team/foreign:v1` }] }),
      );
      const message = await kubectl.until(
        ['get', 'pod', 'foreign', '-o', 'jsonpath={.status.containerStatuses[0].state.waiting.message}'],
        (text) => /no match for platform/.test(text),
      );
      assert.match(message, /no match for platform in manifest/);
      await kubectl.run(['delete', 'pod', 'foreign', '--now']);
    });

    test('an image that does not exist and a wrong password are told apart', async () => {
      await kubectl.run(
        ['apply', '-f', '-'],
        pod('unknown', { containers: [{ name: 'c', image: `${system.registry}/team/tools:v99` }] }),
      );
      await kubectl.until(['get', 'events', '--field-selector', 'involvedObject.name=unknown'], (text) =>
        /v99: not found/.test(text),
      );
      await kubectl.run([
        'create',
        'secret',
        'docker-registry',
        'wrong',
        `--docker-server=${system.registry}`,
        '--docker-username=admin',
        '--docker-password=not-the-password',
      ]);
      await kubectl.run(
        ['apply', '-f', '-'],
        pod('refused', {
          containers: [{ name: 'c', image: `${system.registry}/team/tools:v1`, imagePullPolicy: 'Always' }],
          imagePullSecrets: [{ name: 'wrong' }],
        }),
      );
      const events = await kubectl.until(
        ['get', 'events', '--field-selector', 'involvedObject.name=refused'],
        (text) => /failed to fetch oauth token/.test(text),
      );
      assert.ok(!events.includes('not-the-password'));
      await kubectl.run(['delete', 'pod', 'unknown', 'refused', '--now']);
    });

    test('D5: bad base64 in a pull secret stops the Pod with the node’s words, and a missing one is an event', async () => {
      const config = Buffer.from(
        JSON.stringify({ auths: { [system.registry]: { auth: '!!!not base64' } } }),
      ).toString('base64');
      await kubectl.run(
        ['apply', '-f', '-'],
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { name: 'broken' },
          type: 'kubernetes.io/dockerconfigjson',
          data: { '.dockerconfigjson': config },
        }),
      );
      await kubectl.run(
        ['apply', '-f', '-'],
        pod('broken', {
          containers: [{ name: 'c', image: `${system.registry}/team/tools:v1`, imagePullPolicy: 'Always' }],
          imagePullSecrets: [{ name: 'broken' }],
        }),
      );
      await kubectl.until(
        ['get', 'pod', 'broken', '-o', 'jsonpath={.status.containerStatuses[0].state.waiting.reason}'],
        (reason) => reason === 'illegal base64 data at input byte 0',
      );
      await kubectl.run(
        ['apply', '-f', '-'],
        pod('missing', { ...shell('true'), imagePullSecrets: [{ name: 'nowhere' }] }),
      );
      await kubectl.until(['get', 'events', '--field-selector', 'involvedObject.name=missing'], (text) =>
        /Unable to retrieve some image pull secrets \(nowhere\)/.test(text),
      );
      await kubectl.run(['delete', 'pod', 'broken', 'missing', '--now']);
    });

    const BAD: readonly (readonly [string, string, RegExp])[] = [
      ['text that is no YAML', 'kind: [', /error (?:converting YAML to JSON|parsing)/],
      [
        'an unknown kind',
        'apiVersion: v1\nkind: Podd\nmetadata: {name: x}\n',
        /no matches for kind "Podd" in version "v1"/,
      ],
      [
        'an unknown field',
        'apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containerz: []}\n',
        /unknown field "spec\.containerz"/,
      ],
      [
        'no containers',
        'apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {}\n',
        /spec\.containers: Required value/,
      ],
      [
        'a name in capitals',
        'apiVersion: v1\nkind: Pod\nmetadata: {name: XYZ}\nspec: {containers: [{name: a, image: b}]}\n',
        /metadata\.name: Invalid value: "XYZ"/,
      ],
      [
        'a secret that is no base64',
        'apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata: {a: "%%%"}\n',
        /illegal base64 data/,
      ],
    ];

    for (const [what, manifest, message] of BAD) {
      test(`a manifest with ${what} is refused in kubectl's words`, async () => {
        const { code, stderr } = await kubectl.try(['apply', '-f', '-'], manifest);
        assert.equal(code, 1);
        assert.match(stderr, message);
      });
    }

    test(
      'A1: a Debian root file system made with debootstrap runs cat /etc/os-release',
      { skip: skipWithout('debootstrap', 'buildah') || skipUnlessRoot(), timeout: 280_000 },
      async (t) => {
        const tree = join(work, 'debian');
        const made = spawnSync('debootstrap', ['--variant=minbase', 'bookworm', tree], { encoding: 'utf8' });
        assert.equal(made.status, 0, made.stdout.slice(-2000));
        const clients = await clientDirectory(t);
        const [container] = (await clients.must('buildah', ...clients.storage, 'from', 'scratch')).stdout
          .trim()
          .split('\n');
        await clients.must('buildah', ...clients.storage, 'copy', '--quiet', container ?? '', tree, '/');
        rmSync(tree, { recursive: true, force: true });
        await clients.must('buildah', ...clients.storage, 'commit', '--quiet', container ?? '', 'debian');
        await clients.must(
          'buildah',
          ...clients.storage,
          'push',
          '--quiet',
          '--cert-dir',
          system.certsDirectory,
          '--creds',
          `admin:${system.adminPassword}`,
          'debian',
          `docker://${system.registry}/team/debian:12`,
        );
        await kubectl.run(
          ['apply', '-f', '-'],
          pod('debian', {
            containers: [
              { name: 'c', image: `${system.registry}/team/debian:12`, command: ['cat', '/etc/os-release'] },
            ],
          }),
        );
        const log = await kubectl.until(['logs', 'debian'], (text) => text !== '', 120);
        assert.match(log, /^PRETTY_NAME="Debian GNU\/Linux 12 \(bookworm\)"$/m);
      },
    );

    test('a Pod goes on through a restart of the system, and its log is complete', async () => {
      await kubectl.run(
        ['apply', '-f', '-'],
        pod('survivor', shell('i=0; while [ $i -lt 40 ]; do echo tick $i; i=$((i+1)); sleep 0.2; done')),
      );
      await kubectl.until(['logs', 'survivor'], (log) => log.includes('tick 3'));
      await system.stop('SIGKILL');
      system = await startUp(root, []);
      kubectl = new Kubectl(findKubectls().at(-1) ?? '', system);
      const log = await kubectl.until(['logs', 'survivor'], (text) => text.includes('tick 39'));
      assert.deepEqual(
        log.trim().split('\n'),
        Array.from({ length: 40 }, (_, i) => `tick ${i}`),
      );
      assert.equal(
        await kubectl.until(
          [
            'get',
            'pod',
            'survivor',
            '-o',
            'jsonpath={.status.containerStatuses[0].restartCount}/{.status.phase}',
          ],
          (text) => text.endsWith('Succeeded'),
        ),
        '0/Succeeded',
      );
    });
  },
);

test(
  'containers run with util-linux where there is no other runtime',
  {
    skip:
      findKubectls().length === 0
        ? 'needs kubectl, not installed on this machine'
        : skipUnlessRoot() || skipWithout('setpriv'),
  },
  async () => {
    const home = mkdtempSync(join(tmpdir(), 'drayage-rootless-'));
    spawnSync('chown', ['65534:65534', home]);
    const dray = new URL('../../bin/dray.js', import.meta.url).pathname;
    const child = spawn(
      findTool('setpriv') ?? 'setpriv',
      [
        '--reuid',
        '65534',
        '--regid',
        '65534',
        '--clear-groups',
        process.execPath,
        dray,
        'up',
        '--tour',
        '--exit',
        '--root',
        join(home, 'root'),
        '--api-port',
        '0',
        '--registry-port',
        '0',
      ],
      { env: { PATH: process.env['PATH'], HOME: home, TMPDIR: home }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const code = await new Promise((resolve) => child.once('exit', resolve));
    removeRoot(home);
    assert.equal(code, 0, output);
    assert.match(output, /containers run with util-linux unshare \(runc: /);
    assert.match(output, /\n\s+SUCCESS\n/);
  },
);
