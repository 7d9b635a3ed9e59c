import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { imageOf, openBench, podNamed, type Bench } from './_manager-fixture.ts';

async function bench(t: TestContext, ...args: Parameters<typeof openBench>): Promise<Bench> {
  const made = await openBench(...args);
  t.after(() => made.close());
  return made;
}

const IMAGE = 'r.example/a:1';

test('4.9 5.1 5.3 each failure doubles the wait, 10 s to 300 s, and the waiting message carries the last failure', async (t) => {
  const b = await bench(t, { registryPullQps: 0 });
  let round = 0;
  b.runtime.onPull = () => Promise.reject(new Error(`failure ${++round}`));
  for (const seconds of [10, 20, 40, 80, 160, 300, 300]) {
    const failed = { ok: false, reason: 'ErrImagePull', message: `failure ${round + 1}` };
    assert.deepEqual(await b.ensure(podNamed('p'), IMAGE, 'IfNotPresent'), failed);
    assert.deepEqual(b.said(), [
      `Normal Pulling Pulling image "${IMAGE}"`,
      `Warning Failed Failed to pull image "${IMAGE}": failure ${round}`,
    ]);
    await b.clock.advance(seconds * 1000 - 1);
    assert.deepEqual(await b.ensure(podNamed('p'), IMAGE, 'IfNotPresent'), {
      ok: false,
      reason: 'ImagePullBackOff',
      message: `Back-off pulling image "${IMAGE}": ErrImagePull: failure ${round}`,
    });
    assert.deepEqual(b.said(), [`Normal BackOff Back-off pulling image "${IMAGE}"`]);
    await b.clock.advance(1);
  }
});

test('4.6 4.9 the waiting message keeps the runtime’s word of the failure before', async (t) => {
  const b = await bench(t, { registryPullQps: 0 });
  for (const [word, because] of [
    ['RegistryUnavailable', 'the registry is unavailable'],
    ['SignatureValidationFailed', 'the signature validation failed'],
  ]) {
    b.runtime.onPull = () => Promise.reject(new Error(`${word}: told so`));
    const pod = podNamed(`p-${word}`);
    const message = `image pull failed for ${IMAGE} because ${because}: told so`;
    assert.deepEqual(await b.ensure(pod, IMAGE, 'Always'), { ok: false, reason: word, message });
    assert.deepEqual(await b.ensure(pod, IMAGE, 'Always'), {
      ok: false,
      reason: 'ImagePullBackOff',
      message: `Back-off pulling image "${IMAGE}": ${word}: ${message}`,
    });
    assert.equal(b.said()[1], `Warning Failed Failed to pull image "${IMAGE}": ${word}: told so`);
  }
});

test('5.4 5.5 a success does not reset the wait of a key; ten minutes without a failure do', async (t) => {
  const b = await bench(t, { registryPullQps: 0 });
  const works = b.runtime.onPull;
  const fails = (): Promise<never> => Promise.reject(new Error('down'));
  const waits = async (seconds: number): Promise<void> => {
    const ends = b.manager.backOffEndsAt('uid-of-p', IMAGE);
    assert.equal(ends === undefined ? undefined : ends - b.clock.now(), seconds * 1000);
    await b.clock.advance(seconds * 1000);
  };
  b.runtime.onPull = fails;
  await b.ensure(podNamed('p'), IMAGE, 'Always');
  await waits(10);
  b.runtime.onPull = works;
  assert.equal((await b.ensure(podNamed('p'), IMAGE, 'Always')).ok, true);
  b.runtime.onPull = fails;
  await b.ensure(podNamed('p'), IMAGE, 'Always');
  await waits(20);
  await b.clock.advance(581_000);
  await b.ensure(podNamed('p'), IMAGE, 'Always');
  await waits(10);
});

test('5.2 another Pod, another image and another writing of one image each have a wait of their own; containers of a Pod share it', async (t) => {
  const b = await bench(t, { registryPullQps: 0 });
  b.runtime.onPull = () => Promise.reject(new Error('down'));
  const reason = async (pod: string, image: string, uid?: string): Promise<string> => {
    const result = await b.ensure(podNamed(pod, uid), image, 'IfNotPresent');
    return result.ok ? 'ok' : result.reason;
  };
  assert.equal(await reason('p', 'busybox'), 'ErrImagePull');
  assert.equal(await reason('p', 'busybox'), 'ImagePullBackOff');
  assert.equal(await reason('p', 'busybox:latest'), 'ErrImagePull');
  assert.equal(await reason('p', 'docker.io/library/busybox'), 'ErrImagePull');
  assert.equal(await reason('q', 'busybox'), 'ErrImagePull');
  assert.equal(await reason('p', 'busybox', 'uid-of-the-next-p'), 'ErrImagePull');
});

for (const [name, settings, atOnce] of [
  ['serial', { serializeImagePulls: true }, 1],
  ['at most two', { serializeImagePulls: false, maxParallelImagePulls: 2 }, 2],
  ['without a limit', { serializeImagePulls: false }, 4],
] as const) {
  test(`4.2 5.10 5.11 ${name}: pulls start in the order asked, and only the waiting counts twice`, async (t) => {
    const b = await bench(t, { ...settings, registryPullQps: 0 });
    const started: string[] = [];
    let running = 0;
    let most = 0;
    b.runtime.onPull = async ({ image }, _auth, signal) => {
      started.push(image);
      most = Math.max(most, ++running);
      await b.clock.sleep(1000, signal);
      running--;
      return imageOf(image, 42);
    };
    const images = ['r.example/a:1', 'r.example/b:1', 'r.example/c:1', 'r.example/d:1'];
    const all: Promise<unknown>[] = [];
    for (const [index, image] of images.entries()) {
      all.push(b.ensure(podNamed(`p${index}`), image, 'IfNotPresent'));
      // Asked one after the other, each when the one before stands in the queue.
      while (!b.events.some(({ message }) => message === `Pulling image "${image}"`)) await turn();
    }
    for (let round = 0; round < images.length / atOnce; round++) {
      while (started.length < (round + 1) * atOnce) await turn();
      await b.clock.advance(1000);
      const done = (round + 1) * atOnce;
      while (b.events.filter(({ reason }) => reason === 'Pulled').length < done) await turn();
    }
    await Promise.all(all);
    assert.deepEqual(started, images);
    assert.equal(most, atOnce);
    for (const [index, image] of images.entries()) {
      const altogether = Math.floor(index / atOnce) + 1;
      const message = `Successfully pulled image "${image}" in 1s (${altogether}s including waiting). Image size: 42 bytes.`;
      assert.ok(
        b.events.some((event) => event.message === message),
        message,
      );
    }
  });
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('5.6 5.9 a pull beyond the rate fails, is booked, and passes when a token has grown', async (t) => {
  const b = await bench(t, { registryPullQps: 1, registryBurst: 2 });
  for (const name of ['a', 'b']) assert.equal((await b.ensure(podNamed(name), IMAGE, 'Always')).ok, true);
  b.said();
  const refused = { ok: false, reason: 'ErrImagePull', message: 'pull QPS exceeded' };
  assert.deepEqual(await b.ensure(podNamed('c'), IMAGE, 'Always'), refused);
  assert.deepEqual(b.said(), [
    `Normal Pulling Pulling image "${IMAGE}"`,
    `Warning Failed Failed to pull image "${IMAGE}": pull QPS exceeded`,
  ]);
  assert.deepEqual(await b.ensure(podNamed('c'), IMAGE, 'Always'), {
    ok: false,
    reason: 'ImagePullBackOff',
    message: `Back-off pulling image "${IMAGE}": ErrImagePull: pull QPS exceeded`,
  });
  await b.clock.advance(10_000);
  assert.equal((await b.ensure(podNamed('c'), IMAGE, 'Always')).ok, true);
});

const HEX = '0123456789abcdef'.repeat(4);
for (const [image, error] of [
  ['Busybox', 'invalid reference format: repository name (library/Busybox) must be lowercase'],
  ['r.example/Team/a:1', 'invalid reference format: repository name (Team/a) must be lowercase'],
  ['busy box', 'invalid reference format'],
  [' busybox', 'invalid reference format'],
  ['busybox:', 'invalid reference format'],
  ['busybox:-x', 'invalid reference format'],
  ['busybox@sha256:abc', 'invalid reference format'],
  ['busybox@', 'invalid reference format'],
  [`busybox@md5:${HEX}`, 'unsupported digest algorithm'],
  [`busybox@sha256:${HEX.slice(32)}`, 'invalid checksum digest length'],
  [`busybox@sha256:${HEX.toUpperCase()}`, 'invalid checksum digest format'],
  [HEX, `invalid repository name (${HEX}), cannot specify 64-byte hexadecimal strings`],
  ['http://r.example/a', 'invalid reference format'],
  ['r.example/', 'invalid reference format'],
  [`r.example/${'a'.repeat(256)}`, 'repository name must not be more than 255 characters'],
] as const) {
  test(`3.1 4.1 ${image.slice(0, 60)} is an invalid name`, async (t) => {
    const b = await bench(t);
    const message = `Failed to apply default image tag "${image}": couldn't parse image name "${image}": ${error}`;
    for (const policy of ['IfNotPresent', 'Always', 'Never'] as const) {
      const invalid = { ok: false, reason: 'InvalidImageName', message };
      assert.deepEqual(await b.ensure(podNamed('p'), image, policy), invalid);
      assert.deepEqual(b.said(), [`Warning InspectFailed ${message}`]);
    }
  });
}

test('1.16 3.2 a name with tag and digest is asked for as it is written', async (t) => {
  const b = await bench(t);
  for (const image of [`r.example/a:1@sha256:${HEX}`, `busybox@sha256:${HEX}`]) {
    assert.equal((await b.ensure(podNamed('p'), image, 'IfNotPresent')).ok, true);
    assert.equal(b.runtime.looks.at(0)?.image, b.runtime.pulls.at(0)?.spec.image);
    assert.equal(b.runtime.pulls.at(-1)?.spec.image, image);
    assert.equal(b.runtime.pulls.at(-1)?.spec.userSpecifiedImage, image);
  }
});
