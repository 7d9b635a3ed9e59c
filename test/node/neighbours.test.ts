import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { ManualClock } from '../../src/base/manual-clock.ts';
import type { Container, Pod } from '../../src/kube/pod.ts';
import { PODS } from '../../src/kubelet/status-manager.ts';
import { OCI_INDEX, serveRegistry } from '../support/serve-registry.ts';
import { NODE, withNodeSystem, type NodeSystem } from './node-system.ts';
import { basicFront, pushTinyImage, tinyLayer } from './real-image.ts';

/*
 * Pods beside those that were recorded (`recorded.test.ts`), each with the events that Kubernetes 1.36.2 would have for it, as read from the
 * source of its kubelet. Each event is told once, however often it came.
 */

const layer = await tinyLayer();
const a = (image: string, more: Partial<Container> = {}): Container => ({ name: 'a', image, ...more });
const secrets = (...names: string[]) => ({ imagePullSecrets: names.map((name) => ({ name })) });
const notFound = (image: string): string =>
  `rpc error: code = NotFound desc = failed to pull and unpack image "${image}": failed to resolve reference "${image}": ${image}: not found`;
const refusedBy = (image: string, why: string): string =>
  `failed to pull and unpack image "${image}": failed to resolve reference "${image}": ${why}`;
const NOBODY =
  'pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials';

/** Events of a pull that fails, and of the look after it. */
const failing = (of: string, image: string, why: string): string[] => [
  `${of} Normal Pulling Pulling image "${image}"`,
  `${of} Warning Failed Failed to pull image "${image}": ${why}`,
  `${of} Warning Failed Error: ErrImagePull`,
  `${of} Normal BackOff Back-off pulling image "${image}"`,
  `${of} Warning Failed Error: ImagePullBackOff`,
];
const present = (of: string, image: string): string[] => [
  `${of} Normal Pulled Container image "${image}" already present on machine and can be accessed by the pod`,
  `${of} Normal Created Container created`,
  `${of} Normal Started Container started`,
];
const A = 'spec.containers{a}';

interface Place {
  readonly open: string;
  readonly closed: string;
  readonly denying: string;
  readonly digest: string;
}
interface Neighbour {
  readonly what: string;
  readonly spec: Partial<Pod['spec']> & { containers: Container[] };
  readonly says: readonly string[];
}

function neighbours({ open, closed, denying, digest }: Place): Neighbour[] {
  const held = `${open}/app:1`;
  const secret = `${closed}/app:1`;
  const two = `${open}/app:two@${digest}`;
  return [
    {
      what: 'two containers, one of which has no image',
      spec: { containers: [a(held), { name: 'b', image: `${open}/none:1` }] },
      says: [
        ...present(A, held),
        ...failing('spec.containers{b}', `${open}/none:1`, notFound(`${open}/none:1`)),
      ],
    },
    {
      what: 'an init container without an image keeps the rest waiting',
      spec: { initContainers: [{ name: 'i', image: `${open}/none:2` }], containers: [a(held)] },
      says: failing('spec.initContainers{i}', `${open}/none:2`, notFound(`${open}/none:2`)),
    },
    {
      what: 'a digest of what is there',
      spec: { containers: [a(`${open}/app@${digest}`)] },
      says: present(A, `${open}/app@${digest}`),
    },
    {
      what: 'tag and digest, of which only the digest counts',
      spec: { containers: [a(two)] },
      says: present(A, two),
    },
    {
      what: 'Never, and it is there',
      spec: { containers: [a(held, { imagePullPolicy: 'Never' })] },
      says: present(A, held),
    },
    {
      what: 'a wrong password',
      spec: { containers: [a(secret)], ...secrets('wrong') },
      says: failing(
        A,
        secret,
        refusedBy(
          secret,
          `unexpected status from HEAD request to http://${closed}/v2/app/manifests/1: 401 Unauthorized`,
        ),
      ),
    },
    {
      what: 'a secret of another type is passed over without a word',
      spec: { containers: [a(secret)], ...secrets('opaque') },
      says: failing(A, secret, refusedBy(secret, NOBODY)),
    },
    {
      what: 'two secrets that are not there',
      spec: { containers: [a(secret)], ...secrets('gone', 'lost') },
      says: [
        '- Warning FailedToRetrieveImagePullSecret Unable to retrieve some image pull secrets (gone, lost); attempting to pull the image may not succeed.',
        ...failing(A, secret, refusedBy(secret, NOBODY)),
      ],
    },
    {
      what: 'a secret whose login cannot be read',
      spec: { containers: [a(secret)], ...secrets('unreadable') },
      says: [`${A} Warning Failed Error: illegal base64 data at input byte 0`],
    },
    {
      what: 'two secrets for one registry, the second of which is right',
      spec: { containers: [a(secret)], ...secrets('wrong', 'right') },
      says: [
        `${A} Normal Pulling Pulling image "${secret}"`,
        `${A} Normal Pulled Successfully pulled image "${secret}"`,
        ...present(A, secret).slice(1),
      ],
    },
    {
      what: 'what another Pod has pulled with its secret is not there for one without',
      spec: { containers: [a(secret)] },
      says: failing(A, secret, refusedBy(secret, NOBODY)),
    },
    {
      what: 'the same login in another secret is enough',
      spec: { containers: [a(secret)], ...secrets('same') },
      says: present(A, secret),
    },
    {
      what: 'a registry that is not there',
      spec: { containers: [a('127.0.0.1:1/app:1')] },
      says: failing(
        A,
        '127.0.0.1:1/app:1',
        refusedBy(
          '127.0.0.1:1/app:1',
          'failed to do request: Head "https://127.0.0.1:1/v2/app/manifests/1": dial tcp 127.0.0.1:1: connect: connection refused',
        ),
      ),
    },
    {
      what: 'a registry that denies, with its words on a line of their own',
      spec: { containers: [a(`${denying}/app:1`)] },
      says: failing(
        A,
        `${denying}/app:1`,
        refusedBy(
          `${denying}/app:1`,
          `unexpected status from GET request to http://${denying}/v2/app/manifests/1: 403 Forbidden\ndenied: not for you`,
        ),
      ),
    },
    {
      what: 'an index without an image for this machine',
      spec: { containers: [a(`${open}/foreign:1`)] },
      says: failing(
        A,
        `${open}/foreign:1`,
        `rpc error: code = NotFound desc = failed to pull and unpack image "${open}/foreign:1": no match for platform in manifest: not found`,
      ),
    },
  ];
}

test(
  'Pods beside those that were recorded say what a real node would say of them',
  { timeout: 200_000 },
  async (t) => {
    const registry = await serveRegistry(t);
    const place = await prepare(t, registry);
    await withNodeSystem({ realImages: true, clock: new ManualClock(Date.now()) }, async (system) => {
      await makeSecrets(system, place.closed);
      await run(system, 'warm', { containers: [a(`${place.open}/app:1`)] }, 4);
      for (const [index, { what, spec, says }] of neighbours(place).entries()) {
        assert.deepEqual(await run(system, `p${index}`, spec, says.length), says, what);
      }
    });
  },
);

test('a Pod whose image is changed while its old one is in back-off pulls the new one at once', async (t) => {
  const registry = await serveRegistry(t);
  const { open } = await prepare(t, registry);
  await withNodeSystem({ realImages: true, clock: new ManualClock(Date.now()) }, async (system) => {
    const [old, now] = [`${open}/none:1`, `${open}/app:1`];
    const failed = failing(A, old, notFound(old));
    assert.deepEqual(await run(system, 'p', { containers: [a(old)] }, failed.length), failed);
    const spec = { containers: [{ name: 'a', image: now }] };
    await system.client.patch(
      PODS,
      { namespace: 'default', name: 'p' },
      { spec },
      'strategic',
      system.signal,
    );
    const pod = await system.until('p', 'running', (each) => each?.status?.phase === 'Running');
    assert.equal(pod?.status?.containerStatuses?.[0]?.restartCount, 0);
    assert.deepEqual((await said(system, 'p')).slice(failed.length), [
      `${A} Normal Pulling Pulling image "${now}"`,
      `${A} Normal Pulled Successfully pulled image "${now}"`,
      ...present(A, now).slice(1),
    ]);
  });
});

test('a container for looking into a Pod whose image cannot be had says so beside the others, which go on', async (t) => {
  const registry = await serveRegistry(t);
  const { open } = await prepare(t, registry);
  await withNodeSystem({ realImages: true, clock: new ManualClock(Date.now()) }, async (system) => {
    await run(system, 'p', { containers: [a(`${open}/app:1`)] }, 4);
    const image = `${open}/none:1`;
    const spec = { ephemeralContainers: [{ name: 'look', image }] };
    const target = { namespace: 'default', name: 'p' };
    const options = { subresource: 'ephemeralcontainers' };
    await system.client.patch(PODS, target, { spec }, 'strategic', system.signal, options);
    const of = 'spec.ephemeralContainers{look}';
    const expected = failing(of, image, notFound(image)).slice(0, 3);
    await untilSaid(system, 'p', 4 + expected.length);
    assert.deepEqual((await said(system, 'p')).slice(4, 4 + expected.length), expected);
    const pod = await system.pod('p');
    assert.equal(pod?.status?.phase, 'Running');
    assert.equal(pod.status?.containerStatuses?.[0]?.ready, true);
  });
});

async function prepare(t: TestContext, registry: Awaited<ReturnType<typeof serveRegistry>>): Promise<Place> {
  const { digest } = await pushTinyImage(registry, layer, 'app', '1');
  const other = await pushTinyImage(registry, layer, 'foreign', 'other', { architecture: 's390x' });
  const platform = { os: 'linux', architecture: 's390x' };
  await registry.pushManifest('foreign', '1', {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [{ ...other, platform }],
  });
  const server = createServer((_request, response) => {
    response.writeHead(403, { 'content-type': 'application/json' });
    response.end('{"errors":[{"code":"DENIED","message":"not for you"}]}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    open: registry.host,
    closed: await basicFront(t, registry, { user: 'u', password: 'p' }),
    denying: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    digest,
  };
}

async function makeSecrets(system: NodeSystem, host: string): Promise<void> {
  const make = async (name: string, type: string, login: object): Promise<void> => {
    const stringData = { '.dockerconfigjson': JSON.stringify({ auths: { [host]: login } }) };
    await system.create({ kind: 'Secret', metadata: { name }, type, stringData } as never);
  };
  const type = 'kubernetes.io/dockerconfigjson';
  const login = { username: 'u', password: 'p' };
  await make('right', type, login);
  await make('same', type, login);
  await make('wrong', type, { ...login, password: 'no' });
  await make('opaque', 'Opaque', login);
  await make('unreadable', type, { auth: '***' });
}

async function run(
  system: NodeSystem,
  name: string,
  spec: Partial<Pod['spec']> & { containers: Container[] },
  events: number,
): Promise<string[]> {
  await system.createPod(name, {
    nodeName: NODE,
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 0,
    ...spec,
  });
  await untilSaid(system, name, events);
  return await said(system, name);
}

/** Waits until a Pod has said so much; the clock stands still, so that no more comes than belongs to its first two looks. */
async function untilSaid(system: NodeSystem, name: string, events: number): Promise<void> {
  while ((await said(system, name)).length < events) {
    if (system.signal.aborted)
      throw new Error(`${name} only said ${JSON.stringify(await said(system, name))}`);
  }
}

/** What the node has said of a Pod, each once, in order: field path, type, reason, message. */
async function said(system: NodeSystem, name: string): Promise<string[]> {
  const events = await system.events(name);
  return events
    .filter(({ line }) => !line.startsWith('Normal Scheduled '))
    .map(
      ({ line, fieldPath }) => `${fieldPath ?? '-'} ${line.replace(/(?<=image "[^"]+") in \S+ \(.*/, '')}`,
    );
}
