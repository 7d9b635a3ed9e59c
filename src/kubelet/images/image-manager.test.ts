import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { imageOf, openBench, podNamed, secretCandidate, type Bench } from './_manager-fixture.ts';

const open: Bench[] = [];
async function bench(...args: Parameters<typeof openBench>): Promise<Bench> {
  const made = await openBench(...args);
  open.push(made);
  return made;
}
afterEach(async () => {
  for (const made of open.splice(0)) await made.close();
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

async function filesOf(root: string): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const folder of ['pulling', 'pulled']) {
    for (const name of await readdir(join(root, 'image_manager', folder))) {
      found[`${folder}/${name}`] = JSON.parse(
        await readFile(join(root, 'image_manager', folder, name), 'utf8'),
      );
    }
  }
  return found;
}

test('3.1 4.1 a name that cannot be read is InvalidImageName with an InspectFailed event, and the runtime is not asked', async () => {
  const b = await bench();
  const message =
    'Failed to apply default image tag "x:": couldn\'t parse image name "x:": invalid reference format';
  assert.deepEqual(await b.ensure(podNamed('p'), 'x:', 'IfNotPresent'), {
    ok: false,
    reason: 'InvalidImageName',
    message,
  });
  assert.deepEqual(b.said(), [`Warning InspectFailed ${message}`]);
  assert.equal(b.runtime.looks.length + b.runtime.pulls.length, 0);
  assert.deepEqual(b.counted, ['ensured IfNotPresent unknown unknown']);
});

test('3.2 the runtime gets the tagged name and all annotations of the Pod', async () => {
  const b = await bench();
  await b.ensure(podNamed('p'), 'busybox', 'Always');
  assert.deepEqual(b.runtime.pulls[0]?.spec, {
    image: 'busybox:latest',
    annotations: { team: 'a' },
    userSpecifiedImage: 'busybox',
  });
});

test('3.3 14.1 Always pulls without looking first, each time', async () => {
  const b = await bench();
  b.runtime.onStatus = () => Promise.reject(new Error('broken'));
  for (const name of ['first', 'second']) {
    assert.equal((await b.ensure(podNamed(name), 'r.example/a:1', 'Always')).ok, true);
  }
  assert.equal(b.runtime.pulls.length, 2);
  assert.deepEqual(
    b.counted.filter((line) => line.startsWith('ensured')),
    ['ensured Always unknown true', 'ensured Always unknown true'],
  );
});

test('3.4 an inspection that fails is ImageInspectError, with the empty name that Kubernetes 1.36 prints', async () => {
  const b = await bench();
  b.runtime.onStatus = () => Promise.reject(new Error('rpc error: code = Unavailable'));
  for (const policy of ['IfNotPresent', 'Never'] as const) {
    const message = 'Failed to inspect image "": rpc error: code = Unavailable';
    assert.deepEqual(await b.ensure(podNamed('p'), 'a:1', policy), {
      ok: false,
      reason: 'ImageInspectError',
      message,
    });
    assert.deepEqual(b.said(), [`Warning InspectFailed ${message}`]);
  }
  assert.deepEqual(b.counted, ['ensured IfNotPresent unknown unknown', 'ensured Never unknown unknown']);
});

test('3.5 Never with an absent image never touches the network', async () => {
  const b = await bench();
  const message = 'Container image "127.0.0.1:5503/test/absent:1" is not present with pull policy of Never';
  assert.deepEqual(await b.ensure(podNamed('p'), '127.0.0.1:5503/test/absent:1', 'Never'), {
    ok: false,
    reason: 'ErrImageNeverPull',
    message,
  });
  assert.deepEqual(b.said(), [`Warning ErrImageNeverPull ${message}`]);
  assert.equal(b.runtime.pulls.length + b.lookups.length, 0);
  assert.deepEqual(b.counted, ['ensured Never false unknown']);
});

test('3.6 a present image is used without a pull; without verification the text is shorter', async () => {
  for (const verifyPulledImages of [true, false]) {
    const b = await bench({ verifyPulledImages });
    b.runtime.images.set('a:1', imageOf('a:1'));
    assert.deepEqual(await b.ensure(podNamed('p'), 'a:1', 'IfNotPresent'), {
      ok: true,
      imageRef: 'sha256:id-of-a:1',
    });
    const end = verifyPulledImages ? ' and can be accessed by the pod' : '';
    assert.deepEqual(b.said(), [`Normal Pulled Container image "a:1" already present on machine${end}`]);
    assert.equal(b.runtime.pulls.length, 0);
  }
});

test('3.7 4.1 Never with an image that the Pod may not use looks exactly like an absent one', async () => {
  const b = await bench();
  b.candidates = () => Promise.resolve([secretCandidate('reg')]);
  await b.ensure(podNamed('owner'), 'r.example/a:1', 'IfNotPresent');
  b.candidates = () => Promise.resolve([]);
  b.said();
  b.counted.length = 0;
  const message = 'Container image "r.example/a:1" is not present with pull policy of Never';
  assert.deepEqual(await b.ensure(podNamed('other'), 'r.example/a:1', 'Never'), {
    ok: false,
    reason: 'ErrImageNeverPull',
    message,
  });
  assert.deepEqual(b.said(), [`Warning ErrImageNeverPull ${message}`]);
  assert.deepEqual(b.counted, ['checked mustAuthenticate', 'ensured Never true true']);
});

test('3.8 4.12 credentials are looked up once, by repository; their failure is reason and message', async () => {
  const b = await bench();
  b.candidates = () => Promise.reject(new Error('illegal base64 data at input byte 3'));
  const failure = {
    ok: false,
    reason: 'illegal base64 data at input byte 3',
    message: 'illegal base64 data at input byte 3',
  };
  assert.deepEqual(await b.ensure(podNamed('p'), 'busybox:1', 'IfNotPresent'), failure);
  assert.deepEqual(b.lookups, ['docker.io/library/busybox']);
  assert.deepEqual(b.said(), []);
  assert.deepEqual(await filesOf(b.root), {});
});

test('3.10 5.2 5.3 a failed image is left alone for 10 s, for this Pod only, and its intent is released', async () => {
  const b = await bench();
  b.runtime.onPull = () => Promise.reject(new Error('manifest unknown'));
  const [first, other] = [podNamed('p'), podNamed('q')];
  assert.deepEqual(await b.ensure(first, 'a:1', 'Always'), {
    ok: false,
    reason: 'ErrImagePull',
    message: 'manifest unknown',
  });
  assert.deepEqual(b.said(), [
    'Normal Pulling Pulling image "a:1"',
    'Warning Failed Failed to pull image "a:1": manifest unknown',
  ]);
  await b.clock.advance(9_999);
  assert.deepEqual(await b.ensure(first, 'a:1', 'Always'), {
    ok: false,
    reason: 'ImagePullBackOff',
    message: 'Back-off pulling image "a:1": ErrImagePull: manifest unknown',
  });
  assert.deepEqual(b.said(), ['Normal BackOff Back-off pulling image "a:1"']);
  assert.equal(b.manager.backOffEndsAt('uid-of-p', 'a:1'), b.clock.now() + 1);
  assert.deepEqual(await filesOf(b.root), {});
  assert.equal((await b.ensure(other, 'a:1', 'Always')).ok, false);
  assert.equal(b.runtime.pulls.length, 2);
  await b.clock.advance(1);
  await b.ensure(first, 'a:1', 'Always');
  assert.equal(b.runtime.pulls.length, 3);
});

test('3.11 4.2 a success tells the time in the runtime, the time altogether and the size', async () => {
  const b = await bench();
  b.runtime.onPull = async (spec) => {
    await b.clock.advance(1_234);
    return imageOf(spec.image);
  };
  await b.ensure(podNamed('p'), 'a:1', 'IfNotPresent');
  assert.deepEqual(b.said(), [
    'Normal Pulling Pulling image "a:1"',
    'Normal Pulled Successfully pulled image "a:1" in 1.234s (1.234s including waiting). Image size: 1032727 bytes.',
  ]);
  assert.deepEqual(b.counted, ['ensured IfNotPresent false true', 'pulled 1.234 1032727']);
});

test('3.18 a Pod that must prove its right fails while the registry is away, though the image is there', async () => {
  const b = await bench({ verificationPolicy: 'AlwaysVerify' });
  b.runtime.images.set('a:1', imageOf('a:1'));
  b.runtime.onPull = () => Promise.reject(new Error('dial tcp: connection refused'));
  const result = await b.ensure(podNamed('p'), 'a:1', 'IfNotPresent');
  assert.equal(result.ok ? '' : result.reason, 'ErrImagePull');
  assert.deepEqual(b.counted, ['checked mustAuthenticate', 'ensured IfNotPresent true true']);
});

test('3.19 without candidates there is one anonymous pull', async () => {
  const b = await bench();
  await b.ensure(podNamed('p'), 'a:1', 'Always');
  assert.deepEqual(
    b.runtime.pulls.map((pull) => pull.auth),
    [undefined],
  );
});

test('3.20 3.21 candidates are tried in order, stop at the first success and never end anonymously', async () => {
  const b = await bench();
  b.candidates = () => Promise.resolve(['one', 'two', 'three'].map((n) => secretCandidate(n, n)));
  b.runtime.onPull = (spec, auth) =>
    auth?.password === 'two' ? Promise.resolve(imageOf(spec.image)) : Promise.reject(new Error('denied'));
  assert.equal((await b.ensure(podNamed('p'), 'a:1', 'Always')).ok, true);
  assert.deepEqual(
    b.runtime.pulls.map((pull) => pull.auth),
    [
      { username: 'u', password: 'one', source: 'Secret demo/one' },
      { username: 'u', password: 'two', source: 'Secret demo/two' },
    ],
  );
  b.runtime.pulls.length = 0;
  b.runtime.onPull = (_spec, auth) =>
    Promise.reject(new Error(auth?.password === 'three' ? 'not found' : 'denied'));
  const failed = await b.ensure(podNamed('q'), 'a:1', 'Always');
  assert.equal(failed.ok ? '' : failed.message, '[denied, not found]');
  assert.equal(b.runtime.pulls.length, 3);
  b.runtime.onPull = () => Promise.reject(new Error('denied'));
  const same = await b.ensure(podNamed('r'), 'a:1', 'Always');
  assert.equal(same.ok ? '' : same.message, 'denied');
});

test('3.22 a size that cannot be had is 0', async () => {
  const b = await bench();
  b.runtime.onStatus = () => Promise.reject(new Error('gone'));
  await b.ensure(podNamed('p'), 'a:1', 'Always');
  assert.match(b.said()[1] ?? '', / in 0s \(0s including waiting\)\. Image size: 0 bytes\.$/);
});

test('3.23 3.26 the credential that pulled is recorded: a secret with its hash, an account, or the whole node', async () => {
  const b = await bench();
  b.candidates = () => Promise.resolve([secretCandidate('reg')]);
  await b.ensure(podNamed('p'), '127.0.0.1:5513/priv/right:1', 'IfNotPresent');
  b.candidates = () =>
    Promise.resolve([
      {
        ...secretCandidate('x'),
        source: { kind: 'service-account', namespace: 'demo', name: 'robot', uid: 'u1', provider: 'ecr' },
      },
    ]);
  await b.ensure(podNamed('p'), 'r.example/b:1', 'IfNotPresent');
  b.candidates = () =>
    Promise.resolve([{ ...secretCandidate('x'), source: { kind: 'node-file', path: '/config.json' } }]);
  await b.ensure(podNamed('p'), 'r.example/c:1', 'IfNotPresent');
  b.candidates = () => Promise.resolve([]);
  await b.ensure(podNamed('p'), 'd', 'IfNotPresent');
  const records = Object.entries(await filesOf(b.root));
  assert.ok(records.every(([name]) => /^pulled\/sha256-[0-9a-f]{64}$/.test(name)));
  const mappings = records
    .map(([, record]) => (record as { credentialMapping: Record<string, unknown> }).credentialMapping)
    .sort((a, c) => ((Object.keys(a)[0] ?? '') < (Object.keys(c)[0] ?? '') ? -1 : 1));
  assert.deepEqual(mappings, [
    {
      '127.0.0.1:5513/priv/right': {
        kubernetesSecrets: [
          {
            uid: 'uid-reg',
            namespace: 'demo',
            name: 'reg',
            // Recorded from Kubernetes 1.36.2 for user u, password p.
            credentialHash: 'edbd57ca9372e64eb1c9070ecf3a049ac553596b0529acf034c7a71d4e618e88',
          },
        ],
      },
    },
    { d: { nodePodsAccessible: true } },
    { 'r.example/b': { kubernetesServiceAccounts: [{ uid: 'u1', namespace: 'demo', name: 'robot' }] } },
    { 'r.example/c': { nodePodsAccessible: true } },
  ]);
});

test('3.32 the intent is on disk while the pull runs, and gone after it', async () => {
  const b = await bench();
  b.runtime.onPull = async (spec) => {
    assert.deepEqual(Object.values(await filesOf(b.root)), [
      { kind: 'ImagePullIntent', apiVersion: 'kubelet.config.k8s.io/v1beta1', image: 'busybox' },
    ]);
    return imageOf(spec.image);
  };
  assert.equal((await b.ensure(podNamed('p'), 'busybox', 'IfNotPresent')).ok, true);
  assert.ok(Object.keys(await filesOf(b.root)).every((name) => name.startsWith('pulled/')));
});

test('3.37 4.3 events of containers carry the field path, those of image volumes are the Pod’s', async () => {
  const b = await bench();
  const pod = podNamed('p');
  await b.ensure(pod, 'a:1', 'Always');
  await b.manager.ensureImage(
    { pod, image: 'v:1', pullPolicy: 'Always', fieldPath: undefined },
    new AbortController().signal,
  );
  const identity = { apiVersion: 'v1', kind: 'Pod', namespace: 'demo', name: 'p', uid: 'uid-of-p' };
  assert.deepEqual(b.events[0]?.object, { ...identity, fieldPath: 'spec.containers{a}' });
  assert.deepEqual(b.events.at(-1)?.object, identity);
});

test('3.41 without verification nothing is written', async () => {
  const b = await bench({ verifyPulledImages: false });
  b.candidates = () => Promise.resolve([secretCandidate('reg')]);
  await b.ensure(podNamed('p'), 'a:1', 'Always');
  assert.deepEqual(await filesOf(b.root), {});
});

test('4.4 4.6 4.7 4.8 the runtime’s own words become reasons when the error begins with them', async () => {
  const table: [error: string, reason: string, message: string][] = [
    [
      'RegistryUnavailable: connection refused',
      'RegistryUnavailable',
      'image pull failed for a:1 because the registry is unavailable: connection refused',
    ],
    [
      'SignatureValidationFailed: no key',
      'SignatureValidationFailed',
      'image pull failed for a:1 because the signature validation failed: no key',
    ],
    [
      'rpc error: code = Aborted desc = RegistryUnavailable',
      'ErrImagePull',
      'rpc error: code = Aborted desc = RegistryUnavailable',
    ],
  ];
  for (const [error, reason, message] of table) {
    const b = await bench();
    b.runtime.onPull = () => Promise.reject(new Error(error));
    assert.deepEqual(await b.ensure(podNamed('p'), 'a:1', 'Always'), { ok: false, reason, message });
  }
});

test('4.8 one candidate among several hides the runtime’s word', async () => {
  const b = await bench();
  b.candidates = () => Promise.resolve([secretCandidate('one', '1'), secretCandidate('two', '2')]);
  b.runtime.onPull = (_spec, auth) => Promise.reject(new Error(`RegistryUnavailable: ${auth?.password}`));
  const result = await b.ensure(podNamed('p'), 'a:1', 'Always');
  assert.equal(result.ok ? '' : result.reason, 'ErrImagePull');
});

test('4.5 4.10 a failed pull tells the bare error, a success tells nothing but its event', async () => {
  const b = await bench();
  assert.deepEqual(Object.keys(await b.ensure(podNamed('p'), 'a:1', 'Always')), ['ok', 'imageRef']);
  b.runtime.onPull = () => Promise.reject(new Error('manifest unknown'));
  const result = await b.ensure(podNamed('p'), 'b:1', 'Always');
  assert.equal(result.ok ? '' : result.message, 'manifest unknown');
});

test('4.9 after a restart the back-off message is gone with the back-off', async () => {
  const b = await bench();
  b.runtime.onPull = () => Promise.reject(new Error('denied'));
  await b.ensure(podNamed('p'), 'a:1', 'Always');
  const again = await openBench();
  open.push(again);
  again.runtime.onPull = b.runtime.onPull;
  const result = await again.ensure(podNamed('p'), 'a:1', 'Always');
  assert.equal(result.ok ? '' : result.reason, 'ErrImagePull');
});

test('5.6 names and absent images with Never do not count as failures of a pull', async () => {
  const b = await bench();
  await b.ensure(podNamed('p'), 'x:', 'Always');
  await b.ensure(podNamed('p'), 'a:1', 'Never');
  assert.equal(b.manager.backOffEndsAt('uid-of-p', 'x:'), undefined);
  assert.equal(b.manager.backOffEndsAt('uid-of-p', 'a:1'), undefined);
});

test('5.9 a pull beyond the rate fails with a word of its own, one token a request whatever the candidates', async () => {
  const b = await bench({ registryPullQps: 1, registryBurst: 2 });
  b.candidates = () => Promise.resolve([secretCandidate('one', '1'), secretCandidate('two', '2')]);
  b.runtime.onPull = () => Promise.reject(new Error('denied'));
  for (const name of ['p', 'q']) await b.ensure(podNamed(name), 'a:1', 'Always');
  assert.equal(b.runtime.pulls.length, 4);
  assert.deepEqual(await b.ensure(podNamed('r'), 'a:1', 'Always'), {
    ok: false,
    reason: 'ErrImagePull',
    message: 'pull QPS exceeded',
  });
  assert.equal(b.runtime.pulls.length, 4);
  assert.notEqual(b.manager.backOffEndsAt('uid-of-r', 'a:1'), undefined);
});

test('5.10 serialized pulls run one at a time, and waiting shows in the second duration only', async () => {
  const b = await bench();
  let running = 0;
  b.runtime.onPull = async (spec) => {
    running++;
    assert.equal(running, 1);
    await b.clock.sleep(1000, new AbortController().signal);
    running--;
    return imageOf(spec.image);
  };
  const both = [b.ensure(podNamed('p'), 'a:1', 'Always'), b.ensure(podNamed('q'), 'b:1', 'Always')];
  await until(() => b.events.filter((event) => event.reason === 'Pulling').length === 2);
  await until(() => b.runtime.pulls.length === 1);
  await b.clock.advance(1000);
  await until(() => b.runtime.pulls.length === 2);
  await b.clock.advance(1000);
  await Promise.all(both);
  const last = b.said().filter((line) => line.startsWith('Normal Pulled'));
  assert.match(last[0] ?? '', / in 1s \(1s including waiting\)/);
  assert.match(last[1] ?? '', / in 1s \(2s including waiting\)/);
});

test('5.11 5.12 parallel pulls have a limit, and equal images are pulled as often as they are asked for', async () => {
  const b = await bench({ serializeImagePulls: false, maxParallelImagePulls: 2 });
  b.runtime.onPull = async (spec) => {
    await b.clock.sleep(1000, new AbortController().signal);
    return imageOf(spec.image);
  };
  const all = Promise.all(['p', 'q', 'r', 's'].map((name) => b.ensure(podNamed(name), 'a:1', 'Always')));
  await until(() => b.events.filter((event) => event.reason === 'Pulling').length === 4);
  assert.equal(b.runtime.pulls.length, 2);
  await b.clock.advance(1000);
  await until(() => b.runtime.pulls.length === 4);
  await b.clock.advance(1000);
  await all;
  assert.equal(b.runtime.pulls.length, 4);
});

test('5.13 a caller that stops waiting does not stop the pull', async () => {
  const b = await bench();
  const caller = new AbortController();
  const pull: { finish?: () => void } = {};
  b.runtime.onPull = (spec, _auth, signal) =>
    new Promise((resolve) => {
      pull.finish = () => {
        assert.equal(signal.aborted, false);
        resolve(imageOf(spec.image));
      };
    });
  const waiting = b.manager.ensureImage(
    { pod: podNamed('p'), image: 'a:1', pullPolicy: 'Always', fieldPath: undefined },
    caller.signal,
  );
  await until(() => pull.finish !== undefined);
  caller.abort(new Error('Pod deleted'));
  await assert.rejects(waiting, /Pod deleted/);
  pull.finish?.();
  await until(() => b.traces.length > 0);
  assert.match(b.said().at(-1) ?? '', /^Normal Pulled Successfully/);
  assert.equal(Object.keys(await filesOf(b.root)).length, 1);
});

test('a node that stops in the middle of a pull books no failure and leaves the intent', async () => {
  const node = new AbortController();
  const b = await bench({}, { signal: node.signal });
  b.runtime.onPull = (_spec, _auth, signal) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error));
      node.abort(new Error('stopping'));
    });
  await assert.rejects(b.ensure(podNamed('p'), 'a:1', 'Always'), /stopping/);
  assert.deepEqual(b.said(), ['Normal Pulling Pulling image "a:1"']);
  assert.deepEqual(Object.keys(await filesOf(b.root)).length, 1);
});

test('every answer comes with the rules that led to it', async () => {
  const b = await bench();
  await b.ensure(podNamed('p'), 'a:1', 'IfNotPresent');
  await b.ensure(podNamed('p'), 'a:1', 'IfNotPresent');
  assert.deepEqual(
    b.traces.map((trace) => trace.map((step) => step.rule)),
    [
      ['3.4', '3.8', '3.11'],
      ['3.4', '3.12', '3.14', '3.12'],
    ],
  );
});
