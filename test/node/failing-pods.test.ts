import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ManualClock } from '../../src/base/manual-clock.ts';
import type { Container, Pod } from '../../src/kube/pod.ts';
import { FaultRegistry, sha256, TYPES, type Fault } from '../support/fault-registry.ts';
import { NODE, withNodeSystem, type NodeSystem } from './node-system.ts';
import { tinyLayer } from './real-image.ts';

/*
 * Pods that cannot start, or not yet: what a kubelet 1.36.2 says in the first two looks at each, how often, and what their status
 * shows after the second. Like `neighbours.test.ts`, but with init containers, several failures in one Pod, and registries that err.
 */

const plain = await tinyLayer();
const LAYER = { bytes: gzipSync(plain), diffId: sha256(plain) };
const WAIT = ['/bin/sh', '-c', 'trap "exit 0" TERM; sleep 1000000 & wait'];
const ABSENT_DIGEST = `sha256:${'0'.repeat(64)}`;
const UNREADY = 'ContainersNotReady: containers with unready status';

type Spec = Partial<Pod['spec']> & { containers: Container[] };

interface Failing {
  readonly what: string;
  readonly spec: Spec;
  /** `FIELD PATH [xN ]TYPE REASON MESSAGE`, in the order of first sight. */
  readonly says: readonly string[];
  /** `NAME STATE`, init containers first. */
  readonly shows: readonly string[];
  /** What keeps the Pod from being initialized and ready. */
  readonly lacks: { readonly initialized?: string; readonly ready?: string };
}

const a = (image: string, more: Partial<Container> = {}): Container => ({ name: 'a', image, ...more });
const b = (image: string, more: Partial<Container> = {}): Container => ({ name: 'b', image, ...more });
const A = 'spec.containers{a}';
const B = 'spec.containers{b}';
const I = 'spec.initContainers{i}';

const pulling = (of: string, image: string): string => `${of} Normal Pulling Pulling image "${image}"`;
const refused = (of: string, image: string, why: string): string[] => [
  pulling(of, image),
  `${of} Warning Failed Failed to pull image "${image}": ${why}`,
  `${of} Warning Failed Error: ErrImagePull`,
];
const backedOff = (of: string, image: string): string[] => [
  `${of} Normal BackOff Back-off pulling image "${image}"`,
  `${of} Warning Failed Error: ImagePullBackOff`,
];
const failing = (of: string, image: string, why: string): string[] => [
  ...refused(of, image, why),
  ...backedOff(of, image),
];
const started = (of: string, image: string): string[] => [
  pulling(of, image),
  `${of} Normal Pulled Successfully pulled image "${image}"`,
  `${of} Normal Created Container created`,
  `${of} Normal Started Container started`,
];
const never = (of: string, image: string, times = 'x2 '): string =>
  `${of} ${times}Warning ErrImageNeverPull Container image "${image}" is not present with pull policy of Never`;
const badName = (of: string, image: string): string =>
  `${of} x2 Warning InspectFailed Failed to apply default image tag "${image}": couldn't parse image name "${image}": invalid reference format`;
const unpacked = (image: string, why: string): string => `failed to pull and unpack image "${image}": ${why}`;
const unresolved = (image: string, why: string): string =>
  unpacked(image, `failed to resolve reference "${image}": ${why}`);
const notFound = (image: string): string =>
  `rpc error: code = NotFound desc = ${unresolved(image, `${image}: not found`)}`;
const answered = (host: string, name: string, status: string): string =>
  unresolved(
    `${host}/${name}:1`,
    `unexpected status from HEAD request to http://${host}/v2/${name}/manifests/1: ${status}`,
  );

function onePod(what: string, image: string, why: string): Failing {
  return {
    what,
    spec: { containers: [a(image)] },
    says: failing(A, image, why),
    shows: ['a ErrImagePull'],
    lacks: { ready: '[a]' },
  };
}

function cases(host: string, closed: string, garbage: string): Failing[] {
  const [app, none] = [`${host}/app:1`, `${host}/none:1`];
  const volumeMounts = [{ name: 'v', mountPath: '/v' }];
  const wrongLogin = (scope: string): string =>
    unresolved(
      `${closed}/app:1`,
      `failed to authorize: failed to fetch oauth token: unexpected status from GET request to http://${closed}/token?scope=${scope}&service=test: 401 Unauthorized`,
    );
  return [
    {
      what: 'the first of two init containers keeps the second and all others waiting',
      spec: {
        initContainers: [
          { name: 'i', image: none },
          { name: 'j', image: app },
        ],
        containers: [a(app)],
      },
      says: failing(I, none, notFound(none)),
      shows: ['i ErrImagePull', 'j PodInitializing', 'a PodInitializing'],
      lacks: { initialized: '[i j]', ready: '[a]' },
    },
    {
      what: 'a sidecar without an image',
      spec: { initContainers: [{ name: 'i', image: none, restartPolicy: 'Always' }], containers: [a(app)] },
      says: failing(I, none, notFound(none)),
      shows: ['i ErrImagePull', 'a PodInitializing'],
      lacks: { initialized: '[i]', ready: '[i a]' },
    },
    {
      what: 'an init container that must not be pulled',
      spec: { initContainers: [{ name: 'i', image: none, imagePullPolicy: 'Never' }], containers: [a(app)] },
      says: [never(I, none), `${I} x2 Warning Failed Error: ErrImageNeverPull`],
      shows: ['i ErrImageNeverPull', 'a PodInitializing'],
      lacks: { initialized: '[i]', ready: '[a]' },
    },
    {
      what: 'an init container whose image is no name',
      spec: { initContainers: [{ name: 'i', image: 'no name' }], containers: [a(app)] },
      says: [badName(I, 'no name'), `${I} x2 Warning Failed Error: InvalidImageName`],
      shows: ['i InvalidImageName', 'a PodInitializing'],
      lacks: { initialized: '[i]', ready: '[a]' },
    },
    {
      what: 'one container runs, three do not, each for a reason of its own',
      spec: {
        containers: [
          a(none),
          b('no name'),
          { name: 'c', image: `${host}/no:1`, imagePullPolicy: 'Never' },
          { name: 'd', image: app },
        ],
      },
      says: [
        ...refused(A, none, notFound(none)),
        badName(B, 'no name'),
        `${B} x2 Warning Failed Error: InvalidImageName`,
        never('spec.containers{c}', `${host}/no:1`),
        'spec.containers{c} x2 Warning Failed Error: ErrImageNeverPull',
        ...started('spec.containers{d}', app),
        ...backedOff(A, none),
      ],
      shows: ['a ErrImagePull', 'b InvalidImageName', 'c ErrImageNeverPull', 'd running'],
      lacks: { ready: '[a b c]' },
    },
    {
      what: 'two containers of one image: the second is in back-off at once',
      spec: { containers: [a(none), b(none)] },
      says: [
        ...refused(A, none, notFound(none)),
        `${B} x2 Normal BackOff Back-off pulling image "${none}"`,
        `${B} x2 Warning Failed Error: ImagePullBackOff`,
        ...backedOff(A, none),
      ],
      shows: ['a ErrImagePull', 'b ImagePullBackOff'],
      lacks: { ready: '[a b]' },
    },
    {
      what: 'an image volume that two containers mount',
      spec: {
        volumes: [{ name: 'v', image: { reference: none } }],
        containers: [a(app, { volumeMounts }), b(app, { volumeMounts })],
      },
      says: [
        pulling('-', none),
        `- Warning Failed Failed to pull image "${none}": ${notFound(none)}`,
        `${A} Warning Failed Error: ErrImagePull`,
        `${B} Warning Failed Error: ErrImagePull`,
        `- Normal BackOff Back-off pulling image "${none}"`,
        `${A} Warning Failed Error: ImagePullBackOff`,
        `${B} Warning Failed Error: ImagePullBackOff`,
      ],
      shows: ['a ErrImagePull', 'b ErrImagePull'],
      lacks: { ready: '[a b]' },
    },
    {
      what: 'an image volume of an init container that must not be pulled',
      spec: {
        volumes: [{ name: 'v', image: { reference: none, pullPolicy: 'Never' } }],
        initContainers: [{ name: 'i', image: app, volumeMounts }],
        containers: [a(app)],
      },
      says: [never('-', none), `${I} x2 Warning Failed Error: ErrImageNeverPull`],
      shows: ['i ErrImageNeverPull', 'a PodInitializing'],
      lacks: { initialized: '[i]', ready: '[a]' },
    },
    onePod(
      'a digest that nobody has',
      `${host}/app@${ABSENT_DIGEST}`,
      notFound(`${host}/app@${ABSENT_DIGEST}`),
    ),
    // Containerd drops the tag where a digest stands (1.13); the Pod's own writing stays in what the kubelet says.
    onePod(
      'a tag that is there with a digest that is not',
      `${host}/app:1@${ABSENT_DIGEST}`,
      notFound(`${host}/app@${ABSENT_DIGEST}`),
    ),
    onePod('too many requests', `${host}/busy:1`, answered(host, 'busy', '429 Too Many Requests')),
    onePod('a registry that is broken', `${host}/ill:1`, answered(host, 'ill', '500 Internal Server Error')),
    onePod(
      'a registry that hangs up',
      `${host}/mute:1`,
      unresolved(`${host}/mute:1`, `failed to do request: Head "http://${host}/v2/mute/manifests/1": EOF`),
    ),
    onePod(
      'a manifest that is none',
      `${host}/garbage:1`,
      unpacked(
        `${host}/garbage:1`,
        `children: invalid desc ${garbage}: invalid character 'n' looking for beginning of object key string`,
      ),
    ),
    onePod(
      'a token service that gives a stranger too little',
      `${closed}/app:1`,
      unresolved(
        `${closed}/app:1`,
        'pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed',
      ),
    ),
    {
      ...onePod(
        'two wrong logins that are refused alike',
        `${closed}/app:1`,
        wrongLogin('repository%3Aapp%3Apull'),
      ),
      spec: {
        containers: [a(`${closed}/app:1`)],
        imagePullSecrets: [{ name: 'wrong' }, { name: 'old' }],
      },
    },
  ];
}

test(
  '3.38 4.1 to 4.5 4.11 5.2 Pods that fail say and show what a kubelet would, in its order and as often',
  { timeout: 200_000 },
  async (t) => {
    const { open, closed, garbage } = await registries(t);
    await withNodeSystem({ realImages: true, clock: new ManualClock(Date.now()) }, async (system) => {
      for (const name of ['wrong', 'old']) await makeSecret(system, name, closed.host);
      for (const [index, { what, spec, says, shows, lacks }] of cases(
        open.host,
        closed.host,
        garbage,
      ).entries()) {
        const name = `p${index}`;
        await create(system, name, spec);
        await untilSaid(system, name, says);
        assert.deepEqual(await said(system, name), says, what);
        const pod = await system.until(
          name,
          what,
          (now) => JSON.stringify(states(now)) === JSON.stringify(shows),
        );
        assert.equal(pod?.status?.phase, 'Pending', what);
        assert.deepEqual(reasonsOf(pod), wanted(lacks), what);
      }
    });
  },
);

/** Conditions that say no, with why. */
function reasonsOf(pod: Pod | undefined): string[] {
  return (pod?.status?.conditions ?? [])
    .filter(({ status }) => status === 'False')
    .map(({ type, reason, message }) => `${type} ${reason}: ${message}`);
}

function wanted({ initialized, ready }: Failing['lacks']): string[] {
  return [
    ...(initialized === undefined
      ? []
      : [`Initialized ContainersNotInitialized: containers with incomplete status: ${initialized}`]),
    ...(ready === undefined ? [] : [`Ready ${UNREADY}: ${ready}`, `ContainersReady ${UNREADY}: ${ready}`]),
  ];
}

function states(pod: Pod | undefined): string[] {
  const all = [...(pod?.status?.initContainerStatuses ?? []), ...(pod?.status?.containerStatuses ?? [])];
  return all.map(
    ({ name, state }) =>
      `${name} ${state?.waiting?.reason ?? (state?.running === undefined ? 'terminated' : 'running')}`,
  );
}

async function registries(
  t: TestContext,
): Promise<{ open: FaultRegistry; closed: FaultRegistry; garbage: string }> {
  const open = await FaultRegistry.start();
  const closed = await FaultRegistry.start({ auth: { kind: 'bearer', users: { u: 'p' } } });
  t.after(async () => {
    await open.close();
    await closed.close();
  });
  for (const registry of [open, closed]) registry.putImage('app', '1', [LAYER], undefined, { Cmd: WAIT });
  const answers: Readonly<Record<string, Fault>> = {
    // Longer than a node waits for: it tells at once.
    busy: { kind: 'status', status: 429, headers: { 'retry-after': '3600' } },
    ill: { kind: 'status', status: 500 },
    mute: { kind: 'hangUp' },
  };
  for (const [name, fault] of Object.entries(answers)) {
    for (const method of ['HEAD', 'GET']) open.fault(method, new RegExp(`/${name}/`), fault, 1000);
  }
  const { digest } = open.putManifest('garbage', '1', Buffer.from('{not json'), TYPES.manifest);
  return { open, closed, garbage: digest };
}

async function makeSecret(system: NodeSystem, name: string, host: string): Promise<void> {
  const login = { auths: { [host]: { username: 'u', password: name } } };
  const stringData = { '.dockerconfigjson': JSON.stringify(login) };
  const type = 'kubernetes.io/dockerconfigjson';
  await system.create({ kind: 'Secret', metadata: { name }, type, stringData } as never);
}

async function create(system: NodeSystem, name: string, spec: Spec): Promise<void> {
  await system.createPod(name, {
    nodeName: NODE,
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 0,
    ...spec,
  });
}

/** Waits until a Pod has said everything so often; the clock stands still, so that no third look comes. */
async function untilSaid(system: NodeSystem, name: string, says: readonly string[]): Promise<void> {
  for (;;) {
    const so = await said(system, name);
    if (says.every((line) => so.includes(line)) || so.length > says.length) return;
    if (system.signal.aborted) throw new Error(`${name} only said ${JSON.stringify(so)}`);
  }
}

async function said(system: NodeSystem, name: string): Promise<string[]> {
  return (await system.events(name))
    .filter(({ line }) => !line.startsWith('Normal Scheduled '))
    .map(({ line, count, fieldPath }) => {
      const text = line.replace(/(?<=image "[^"]+") in \S+ \(.*/, '');
      return `${fieldPath ?? '-'} ${count > 1 ? `x${count} ` : ''}${text}`;
    });
}
