import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../src/base/manual-clock.ts';
import type { Pod } from '../../src/kube/pod.ts';
import { imageOf } from '../../src/kubelet/images/_manager-fixture.ts';
import type { ImageSettings } from '../../src/kubelet/images/settings.ts';
import { PODS } from '../../src/kubelet/status-manager.ts';
import { serveRegistry } from '../support/serve-registry.ts';
import { NODE, withNodeSystem, type NodeSystem } from './node-system.ts';
import { pushTinyImage, tinyLayer } from './real-image.ts';

/*
 * What the image fields of KubeletConfiguration change of a whole node: pulls in a row and side by side, their rate, who may use what
 * is there, clean-up by age. Events are those of a kubelet 1.36.2; pulls take a second of a clock that the tests move.
 */

const PULL_MS = 1000;
const MINUTE = 60_000;
const A = 'spec.containers{a}';
const WAIT = ['/bin/sh', '-c', 'trap "exit 0" TERM; sleep 1000000 & wait'];
const running = (pod: Pod | undefined): boolean => pod?.status?.phase === 'Running';
const waits = (reason: string) => (pod: Pod | undefined) =>
  pod?.status?.containerStatuses?.[0]?.state?.waiting?.reason === reason;

const image = (name: string): string => `registry.example/${name}:1`;
const present = (name: string): string =>
  `${A} Normal Pulled Container image "${image(name)}" already present on machine and can be accessed by the pod`;
const pulled = (name: string, took = '0s', altogether = took): string[] => [
  `${A} Normal Pulling Pulling image "${image(name)}"`,
  `${A} Normal Pulled Successfully pulled image "${image(name)}" in ${took} (${altogether} including waiting). Image size: 1032727 bytes.`,
];
const refused = (name: string, why: string): string[] => [
  `${A} Normal Pulling Pulling image "${image(name)}"`,
  `${A} Warning Failed Failed to pull image "${image(name)}": ${why}`,
  `${A} Warning Failed Error: ErrImagePull`,
];
const backedOff = (name: string): string[] => [
  `${A} Normal BackOff Back-off pulling image "${image(name)}"`,
  `${A} Warning Failed Error: ImagePullBackOff`,
];
const begun = [`${A} Normal Created Container created`, `${A} Normal Started Container started`];
const absent = (name: string): string[] => [
  `${A} Warning ErrImageNeverPull Container image "${image(name)}" is not present with pull policy of Never`,
  `${A} Warning Failed Error: ErrImageNeverPull`,
];

async function create(system: NodeSystem, name: string, more: Partial<Pod['spec']> = {}): Promise<void> {
  await system.createPod(name, {
    nodeName: NODE,
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'a', image: image(name), command: WAIT }],
    ...more,
  });
}

async function said(system: NodeSystem, name: string): Promise<string[]> {
  return (await system.events(name))
    .filter(({ line }) => !line.startsWith('Normal Scheduled '))
    .map(({ line, fieldPath }) => `${fieldPath ?? '-'} ${line}`);
}

async function untilSaid(system: NodeSystem, name: string, lines: readonly string[]): Promise<void> {
  while ((await said(system, name)).length < lines.length) system.signal.throwIfAborted();
  assert.deepEqual(await said(system, name), lines, name);
}

for (const [how, imageSettings, altogether] of [
  ['one after the other', {}, ['1s', '2s', '3s', '4s']],
  ['two at a time', { serializeImagePulls: false, maxParallelImagePulls: 2 }, ['1s', '1s', '2s', '2s']],
] as const) {
  test(`4.2 5.10 5.11 the pulls of four Pods go ${how}, in the order asked`, async () => {
    const clock = new ManualClock(Date.now());
    await withNodeSystem({ clock, imageSettings }, async (system) => {
      const names = ['one', 'two', 'three', 'four'];
      const asked: string[] = [];
      system.images.onPull = async (spec, _auth, signal) => {
        asked.push(spec.image);
        await clock.sleep(PULL_MS, signal);
        return imageOf(spec.image);
      };
      for (const [index, name] of names.entries()) {
        await create(system, name);
        // It is said when a pull is asked for, not when its turn comes.
        await untilSaid(system, name, pulled(name).slice(0, 1));
        assert.ok(asked.length <= index + 1);
      }
      const atOnce = altogether.filter((time) => time === '1s').length;
      for (let done = 0; done < names.length; done += atOnce) {
        while (asked.length < done + atOnce) await new Promise((resolve) => setTimeout(resolve, 5));
        assert.deepEqual(asked, names.slice(0, done + atOnce).map(image));
        await clock.advance(PULL_MS);
        for (const [index, name] of names.entries()) {
          if (index < done || index >= done + atOnce) continue;
          await untilSaid(system, name, [...pulled(name, '1s', altogether[index]), ...begun]);
        }
      }
      for (const name of names) await system.until(name, 'running', running);
    });
  });
}

test('5.6 5.9 a pull beyond the rate fails like any other and is tried again after its back-off', async () => {
  const clock = new ManualClock(Date.now());
  const imageSettings = { registryPullQps: 1, registryBurst: 1 };
  await withNodeSystem({ clock, imageSettings }, async (system) => {
    await create(system, 'first');
    await system.until('first', 'running', running);
    await create(system, 'second');
    const failed = [...refused('second', 'pull QPS exceeded'), ...backedOff('second')];
    await untilSaid(system, 'second', failed);
    for (let rounds = 0; rounds < 3 && !running(await system.pod('second')); rounds++) {
      await clock.advance(10_000);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await system.until('second', 'running', running);
    // What was said before is counted, not said anew.
    assert.deepEqual(await said(system, 'second'), [...failed, pulled('second')[1], ...begun]);
  });
});

/* `NeverVerifyPreloadedImages`, the default, is in `neighbours.test.ts`. */
const NOBODY = 'pull access denied: no basic auth credentials';

for (const [policy, more, says] of [
  [
    'NeverVerifyAllowlistedImages',
    { verificationAllowlist: ['registry.example/foreign'] },
    {
      preloaded: [...refused('preloaded', NOBODY), ...backedOff('preloaded')],
      foreign: [present('foreign'), ...begun],
      never: 'present',
    },
  ],
  [
    'AlwaysVerify',
    {},
    {
      preloaded: [...refused('preloaded', NOBODY), ...backedOff('preloaded')],
      foreign: [...refused('foreign', NOBODY), ...backedOff('foreign')],
      never: 'absent',
    },
  ],
] as const satisfies readonly (readonly [
  ImageSettings['verificationPolicy'],
  Partial<ImageSettings>,
  { preloaded: readonly string[]; foreign: readonly string[]; never: 'present' | 'absent' },
])[]) {
  test(`D4 3.7 3.14 3.15 ${policy}: who may use an image that was there before, and one that another's secret has brought`, async () => {
    const clock = new ManualClock(Date.now());
    await withNodeSystem(
      { clock, imageSettings: { verificationPolicy: policy, ...more } },
      async (system) => {
        system.images.images.set(image('preloaded'), imageOf(image('preloaded')));
        system.images.onPull = (spec, auth) =>
          auth === undefined ? Promise.reject(new Error(NOBODY)) : Promise.resolve(imageOf(spec.image));
        const login = { auths: { 'registry.example': { username: 'u', password: 'p' } } };
        const stringData = { '.dockerconfigjson': JSON.stringify(login) };
        const type = 'kubernetes.io/dockerconfigjson';
        await system.create({ kind: 'Secret', metadata: { name: 'login' }, type, stringData } as never);
        const containers = [{ name: 'a', image: image('foreign'), command: WAIT }];
        await create(system, 'owner', { containers, imagePullSecrets: [{ name: 'login' }] });
        await untilSaid(system, 'owner', [...pulled('foreign'), ...begun]);

        await create(system, 'preloaded');
        await untilSaid(system, 'preloaded', says.preloaded);
        await create(system, 'foreign');
        await untilSaid(system, 'foreign', says.foreign);
        const never = [
          { name: 'a', image: image('foreign'), command: WAIT, imagePullPolicy: 'Never' as const },
        ];
        await create(system, 'never', { containers: never });
        const expected = says.never === 'absent' ? absent('foreign') : [present('foreign'), ...begun];
        await untilSaid(system, 'never', expected);
        assert.equal(
          waits('ErrImageNeverPull')(await system.until('never', 'told', told)),
          says.never === 'absent',
        );
      },
    );
  });
}

function told(pod: Pod | undefined): boolean {
  return running(pod) || waits('ErrImageNeverPull')(pod);
}

test('4.13 5.1 the next agent knows nothing of a back-off: it pulls at once, and begins at ten seconds', async () => {
  const clock = new ManualClock(Date.now());
  await withNodeSystem({ clock }, async (system) => {
    system.images.onPull = () => Promise.reject(new Error('down'));
    await create(system, 'p');
    await untilSaid(system, 'p', [...refused('p', 'down'), ...backedOff('p')]);
    const pulls = async (count: number): Promise<void> => {
      while (system.images.pulls.length < count) {
        await clock.advance(10_000);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    // The wait is forty seconds now.
    await pulls(3);
    await system.stopKubelet();
    await system.startKubelet();
    while (system.images.pulls.length < 4) await new Promise((resolve) => setTimeout(resolve, 10));
    await clock.advance(9_999);
    assert.equal(system.images.pulls.length, 4);
    await pulls(5);
  });
});

test('5.13 a Pod that is deleted during its pull is gone at once; the pull goes on and its image stays', async () => {
  const clock = new ManualClock(Date.now());
  await withNodeSystem({ clock }, async (system) => {
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    system.images.onPull = async (spec) => {
      asked.resolve();
      await answer.promise;
      return imageOf(spec.image);
    };
    await create(system, 'p');
    await asked.promise;
    await system.client.delete(PODS, { namespace: 'default', name: 'p' }, system.signal);
    await system.until('p', 'gone', (pod) => pod === undefined);
    answer.resolve();
    await untilSaid(system, 'p', pulled('p'));
    assert.ok(system.images.images.has(image('p')));
    await create(system, 'q', { containers: [{ name: 'a', image: image('p'), command: WAIT }] });
    await untilSaid(system, 'q', [present('p'), ...begun]);
  });
});

test('11.6 11.8 an image that nobody has used for its maximum age goes, whatever the disk; one in use stays, and the next Pod pulls again', async (t) => {
  const registry = await serveRegistry(t);
  const layer = await tinyLayer();
  for (const name of ['used', 'unused']) {
    await pushTinyImage(registry, layer, name, '1', name === 'unused' ? { cmd: ['/bin/true'] } : {});
  }
  const clock = new ManualClock(Date.now());
  const imageSettings = { imageMaximumGcAge: 12 * MINUTE, imageGcHighThresholdPercent: 100 };
  await withNodeSystem({ realImages: true, clock, imageSettings }, async (system) => {
    const of = (name: string): Partial<Pod['spec']> => ({
      containers: [{ name: 'a', image: `${registry.host}/${name}:1` }],
    });
    const there = async (): Promise<string[]> =>
      (await system.stores().imageService.listImages(undefined, system.signal))
        .flatMap(({ repoTags }) => repoTags)
        .map((tag) => tag.replace(`${registry.host}/`, ''))
        .toSorted();
    const pass = async (minutes: number): Promise<void> => {
      for (let each = 0; each < minutes; each++) {
        await clock.advance(MINUTE);
        await new Promise((resolve) => setTimeout(resolve, 60));
      }
    };
    await create(system, 'used', of('used'));
    await create(system, 'unused', { restartPolicy: 'Never', ...of('unused') });
    await system.until('unused', 'succeeded', (pod) => pod?.status?.phase === 'Succeeded');
    await system.until('used', 'running', running);
    // An ended container still uses its image; once its Pod is gone, nobody does.
    await pass(16);
    assert.deepEqual(await there(), ['unused:1', 'used:1']);
    await system.client.delete(PODS, { namespace: 'default', name: 'unused' }, system.signal);
    await system.until('unused', 'gone', (pod) => pod === undefined);
    await pass(11);
    assert.deepEqual(await there(), ['unused:1', 'used:1']);
    await pass(9);
    assert.deepEqual(await there(), ['used:1']);
    assert.deepEqual(
      (await system.events(NODE))
        .filter(({ line }) => line.includes('GC') || line.includes('Disk'))
        .map(({ line }) => line),
      [`Normal NodeHasNoDiskPressure Node ${NODE} status is now: NodeHasNoDiskPressure`],
    );
    await create(system, 'again', { restartPolicy: 'Never', ...of('unused') });
    await system.until('again', 'succeeded', (pod) => pod?.status?.phase === 'Succeeded');
    assert.match((await said(system, 'again'))[1] ?? '', /Normal Pulled Successfully pulled image/);
  });
});
