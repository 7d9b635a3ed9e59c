import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { test } from 'node:test';
import { ManualClock } from '../../src/base/manual-clock.ts';
import type { Container, Pod } from '../../src/kube/pod.ts';
import { NODE, withNodeSystem, type NodeSystem } from './node-system.ts';

const IMAGE = 'registry.example/tiny:1';
const phase = (wanted: string) => (pod: Pod | undefined) => pod?.status?.phase === wanted;
const ready = (pod: Pod | undefined): boolean =>
  pod?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
const waiting = (reason: string) => (pod: Pod | undefined) =>
  pod?.status?.containerStatuses?.[0]?.state?.waiting?.reason === reason;
const sh = (script: string, more: Partial<Container> = {}): Container => ({
  name: 'a',
  image: IMAGE,
  command: ['/bin/sh', '-c', script],
  ...more,
});
const FOREVER = 'trap "exit 0" TERM; sleep 1000000 & wait';

/** Events of the node only: the scheduler has said its own before. */
async function podEvents(
  system: NodeSystem,
  name: string,
): Promise<Awaited<ReturnType<NodeSystem['events']>>> {
  const all = await system.events(name);
  return all.filter(
    ({ line }) => line !== `Normal Scheduled Successfully assigned default/${name} to ${NODE}`,
  );
}

async function eventLines(system: NodeSystem, name: string): Promise<string[]> {
  return (await podEvents(system, name)).map(({ line }) =>
    line.replace(/in \S+ \(\S+ including/, 'in D (D including'),
  );
}

/** One line for each different status that was seen, in the words that matter. */
function story(system: NodeSystem, name: string): string[] {
  const lines: string[] = [];
  for (const pod of system.statuses(name)) {
    const started = pod.status?.conditions?.find(({ type }) => type === 'PodReadyToStartContainers')?.status;
    const state = pod.status?.containerStatuses?.[0]?.state;
    const word =
      state?.waiting?.reason ?? (state?.running === undefined ? state?.terminated?.reason : 'Running');
    const line = `${pod.status?.phase ?? ''} ${started ?? '-'} ${word ?? '-'}`;
    if (lines.at(-1) !== line) lines.push(line);
  }
  return lines;
}

test('a Pod that runs to its end prints its log, succeeds and has the events and statuses of a real node', async () => {
  await withNodeSystem({}, async (system) => {
    await system.createPod('p', {
      restartPolicy: 'Never',
      containers: [{ name: 'a', image: IMAGE, command: ['/bin/echo', 'SUCCESS'] }],
    });
    const pod = await system.until(
      'p',
      'Succeeded without sandbox',
      (pod) => pod?.status?.phase === 'Succeeded' && pod.status.conditions?.[0]?.status === 'False',
    );
    assert.deepEqual(await eventLines(system, 'p'), [
      `Normal Pulling Pulling image "${IMAGE}"`,
      `Normal Pulled Successfully pulled image "${IMAGE}" in D (D including waiting). Image size: 1032727 bytes.`,
      'Normal Created Container created',
      'Normal Started Container started',
    ]);
    assert.deepEqual(await system.logs('p'), { status: 200, text: 'SUCCESS\n' });
    const status = pod?.status;
    assert.deepEqual(
      status?.conditions?.map(({ type, status, reason }) => `${type} ${status} ${reason ?? ''}`.trim()),
      [
        'PodReadyToStartContainers False',
        'Initialized True PodCompleted',
        'Ready False PodCompleted',
        'ContainersReady False PodCompleted',
        'PodScheduled True',
      ],
    );
    const container = status?.containerStatuses?.[0];
    assert.equal(container?.image, IMAGE);
    assert.match(container?.imageID ?? '', /^registry\.example\/tiny@sha256:/);
    assert.match(container?.containerID ?? '', /^drayage:\/\/[0-9a-f]{64}$/);
    assert.deepEqual(container?.lastState, {});
    assert.equal(container?.state?.terminated?.exitCode, 0);
    assert.deepEqual(container?.user, { linux: { uid: 0, gid: 0, supplementalGroups: [0] } });
    assert.deepEqual(story(system, 'p').slice(0, 3), [
      'Pending - -',
      'Pending False ContainerCreating',
      'Pending True ContainerCreating',
    ]);
  });
});

test('F1 4.1 4.9 a refused pull is ErrImagePull, then ImagePullBackOff with the failure before, and back-off ends', async () => {
  const clock = new ManualClock(Date.now());
  await withNodeSystem({ clock }, async (system) => {
    const why = `failed to resolve reference "${IMAGE}": pull access denied`;
    system.images.onPull = async () => Promise.reject(new Error(why));
    await system.createPod('p', { containers: [{ name: 'a', image: IMAGE, command: ['/bin/true'] }] });
    await system.until('p', 'ErrImagePull', waiting('ErrImagePull'));
    await untilEvent(system, 'p', 'Error: ImagePullBackOff', 1);
    assert.deepEqual(await eventLines(system, 'p'), [
      `Normal Pulling Pulling image "${IMAGE}"`,
      `Warning Failed Failed to pull image "${IMAGE}": ${why}`,
      'Warning Failed Error: ErrImagePull',
      `Normal BackOff Back-off pulling image "${IMAGE}"`,
      'Warning Failed Error: ImagePullBackOff',
    ]);
    await clock.advance(10_000);
    const pod = await system.until('p', 'ImagePullBackOff', waiting('ImagePullBackOff'));
    assert.equal(
      pod?.status?.containerStatuses?.[0]?.state?.waiting?.message,
      `Back-off pulling image "${IMAGE}": ErrImagePull: ${why}`,
    );
    assert.equal(pod?.status?.phase, 'Pending');
    assert.deepEqual(await system.logs('p'), {
      status: 400,
      text: (await system.logs('p')).text,
    });
    assert.match((await system.logs('p')).text, /is waiting to start: trying and failing to pull image/);
  });
});

test('4.1 an image that is never pulled and absent says so, and is looked for again', async () => {
  const clock = new ManualClock(Date.now());
  await withNodeSystem({ clock }, async (system) => {
    await system.createPod('p', {
      containers: [{ name: 'a', image: IMAGE, imagePullPolicy: 'Never' }],
    });
    const pod = await system.until('p', 'ErrImageNeverPull', waiting('ErrImageNeverPull'));
    assert.equal(
      pod?.status?.containerStatuses?.[0]?.state?.waiting?.message,
      `Container image "${IMAGE}" is not present with pull policy of Never`,
    );
    await untilEvent(system, 'p', 'Error: ErrImageNeverPull', 2);
    const events = await podEvents(system, 'p');
    assert.deepEqual(
      events.map(({ line, fieldPath }) => `${fieldPath ?? ''} ${line}`),
      [
        `spec.containers{a} Warning ErrImageNeverPull Container image "${IMAGE}" is not present with pull policy of Never`,
        'spec.containers{a} Warning Failed Error: ErrImageNeverPull',
      ],
    );
    assert.deepEqual(
      events.map(({ count }) => count),
      [2, 2],
    );
  });
});

test('a pull secret that is missing is reported at each sync, before the pull', async () => {
  await withNodeSystem({}, async (system) => {
    await system.createPod('p', {
      restartPolicy: 'Never',
      imagePullSecrets: [{ name: 'gone' }],
      containers: [{ name: 'a', image: IMAGE, command: ['/bin/true'] }],
    });
    await system.until('p', 'Succeeded', phase('Succeeded'));
    const [first, second] = await podEvents(system, 'p');
    assert.equal(
      first?.line,
      'Warning FailedToRetrieveImagePullSecret Unable to retrieve some image pull secrets (gone); attempting to pull the image may not succeed.',
    );
    assert.equal(first?.fieldPath, undefined);
    assert.equal(second?.line, `Normal Pulling Pulling image "${IMAGE}"`);
  });
});

test('a failing container is started again at once, then after 10 s, doubling, with the end before in lastState', async () => {
  const clock = new ManualClock(Date.now());
  await withNodeSystem({ clock }, async (system) => {
    await system.createPod('p', { containers: [sh('echo life; exit 3')] });
    const first = await system.until('p', 'CrashLoopBackOff', waiting('CrashLoopBackOff'));
    const uid = first?.metadata.uid ?? '';
    const status = first?.status?.containerStatuses?.[0];
    assert.equal(status?.restartCount, 1);
    assert.equal(
      status?.state?.waiting?.message,
      `back-off 10s restarting failed container=a pod=p_default(${uid})`,
    );
    assert.equal(status?.lastState?.terminated?.exitCode, 3);
    assert.equal(status?.lastState?.terminated?.reason, 'Error');
    assert.equal(first?.status?.phase, 'Running');
    // Ends are stamped by the machine's clock, which has gone on meanwhile.
    await clock.advance(Date.now() - clock.now() + 11_000);
    const second = await system.until(
      'p',
      'CrashLoopBackOff 20s',
      (pod) =>
        pod?.status?.containerStatuses?.[0]?.state?.waiting?.message?.startsWith('back-off 20s') ?? false,
    );
    assert.equal(second?.status?.containerStatuses?.[0]?.restartCount, 2);
    const lines = await eventLines(system, 'p');
    assert.ok(
      lines.includes(`Warning BackOff Back-off restarting failed container a in pod p_default(${uid})`),
      lines.join('\n'),
    );
    assert.equal((await system.logs('p', '?previous=true')).text, 'life\n');
  });
});

test('restartPolicy Never and OnFailure decide about the phase', async () => {
  await withNodeSystem({}, async (system) => {
    await system.createPod('never', { restartPolicy: 'Never', containers: [sh('exit 1')] });
    await system.createPod('on-failure', { restartPolicy: 'OnFailure', containers: [sh('exit 0')] });
    const failed = await system.until('never', 'Failed', phase('Failed'));
    assert.equal(failed?.status?.containerStatuses?.[0]?.restartCount, 0);
    assert.equal(failed?.status?.conditions?.find(({ type }) => type === 'Ready')?.reason, 'PodFailed');
    await system.until('on-failure', 'Succeeded', phase('Succeeded'));
  });
});

test('init containers run one after the other before the rest, a sidecar keeps running beside it', async () => {
  await withNodeSystem({}, async (system) => {
    const write = (text: string): string => `echo ${text} >>/shared/order`;
    const volumeMounts = [{ name: 'shared', mountPath: '/shared' }];
    await system.createPod('p', {
      volumes: [{ name: 'shared', emptyDir: {} }],
      initContainers: [
        sh(write('one'), { name: 'one', volumeMounts }),
        sh(`${write('sidecar')}; ${FOREVER}`, { name: 'sidecar', volumeMounts, restartPolicy: 'Always' }),
        sh(write('two'), { name: 'two', volumeMounts }),
      ],
      restartPolicy: 'Never',
      containers: [sh(`${write('main')}; cat /shared/order`, { volumeMounts })],
    });
    const pod = await system.until('p', 'Succeeded', phase('Succeeded'));
    const lines = (await system.logs('p', '?container=a')).text.split('\n');
    assert.deepEqual(
      lines.filter((line) => line !== 'sidecar'),
      ['one', 'two', 'main', ''],
    );
    assert.ok(pod?.status?.initContainerStatuses?.every(({ restartCount }) => restartCount === 0));
    const done = await system.until(
      'p',
      'without its sidecar',
      (pod) => pod?.status?.initContainerStatuses?.[1]?.state?.terminated !== undefined,
    );
    assert.equal(done?.status?.phase, 'Succeeded');
    assert.ok((await eventLines(system, 'p')).includes('Normal Killing Stopping container sidecar'));
  });
});

test('4.11 4.14 while an init container cannot be started the others wait with PodInitializing', async () => {
  await withNodeSystem({}, async (system) => {
    await system.createPod('p', {
      initContainers: [{ name: 'i', image: 'registry.example/absent:1', imagePullPolicy: 'Never' }],
      containers: [sh('true')],
    });
    const pod = await system.until(
      'p',
      'ErrImageNeverPull',
      (pod) => pod?.status?.initContainerStatuses?.[0]?.state?.waiting?.reason === 'ErrImageNeverPull',
    );
    assert.deepEqual(pod?.status?.containerStatuses?.[0]?.state, { waiting: { reason: 'PodInitializing' } });
    const initialized = pod?.status?.conditions?.find(({ type }) => type === 'Initialized');
    assert.equal(initialized?.reason, 'ContainersNotInitialized');
    assert.equal(initialized?.message, 'containers with incomplete status: [i]');
    assert.equal((await podEvents(system, 'p'))[0]?.fieldPath, 'spec.initContainers{i}');
  });
});

const PODS = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true };
const CLAIMS = {
  group: '',
  version: 'v1',
  resource: 'persistentvolumeclaims',
  kind: 'PersistentVolumeClaim',
  namespaced: true,
};

test('environment, volumes and the service account’s token reach the container', async () => {
  await withNodeSystem({}, async (system) => {
    await system.create({
      kind: 'Secret',
      metadata: { name: 's' },
      data: { user: Buffer.from('alice').toString('base64') },
    } as never);
    await system.create({
      kind: 'ConfigMap',
      metadata: { name: 'c' },
      data: { 'a.conf': 'x=1\n', k: 'v' },
    } as never);
    await system.create({
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } },
    } as never);
    await system.createPod('p', {
      restartPolicy: 'Never',
      volumes: [
        { name: 'secret', secret: { secretName: 's', defaultMode: 0o400 } },
        { name: 'config', configMap: { name: 'c', items: [{ key: 'a.conf', path: 'sub/a.conf' }] } },
        {
          name: 'down',
          downwardAPI: { items: [{ path: 'name', fieldRef: { fieldPath: 'metadata.name' } }] },
        },
        { name: 'claim', persistentVolumeClaim: { claimName: 'data' } },
      ],
      containers: [
        sh(
          'echo $USER_NAME $KEY $NODE "$BOTH" $LIMIT $FROM_k; cat /secret/user; echo; cat /config/sub/a.conf /down/name; echo; ' +
            'head -c 3 /var/run/secrets/kubernetes.io/serviceaccount/token; echo; cat /var/run/secrets/kubernetes.io/serviceaccount/namespace; ' +
            'echo kept >/claim/file; echo $0 $1 >/dev/termination-log',
          {
            args: ['$(KEY)', '$$(KEY)'],
            env: [
              { name: 'USER_NAME', valueFrom: { secretKeyRef: { name: 's', key: 'user' } } },
              { name: 'KEY', valueFrom: { configMapKeyRef: { name: 'c', key: 'k' } } },
              { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
              { name: 'BOTH', value: '$(USER_NAME)-$(KEY)-$(MISSING)' },
              {
                name: 'LIMIT',
                valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } },
              },
            ],
            envFrom: [{ prefix: 'FROM_', configMapRef: { name: 'c' } }],
            resources: { limits: { memory: '64Mi' } },
            volumeMounts: [
              { name: 'secret', mountPath: '/secret', readOnly: true },
              { name: 'config', mountPath: '/config' },
              { name: 'down', mountPath: '/down' },
              { name: 'claim', mountPath: '/claim' },
            ],
          },
        ),
      ],
    });
    const pod = await system.until('p', 'Succeeded', phase('Succeeded'));
    assert.equal(
      (await system.logs('p')).text,
      `alice v ${NODE} alice-v-$(MISSING) 64 v\nalice\nx=1\np\neyJ\ndefault\n`,
    );
    assert.equal(pod?.status?.containerStatuses?.[0]?.state?.terminated?.message, 'v $(KEY)\n');
    const volumes = join(system.root, 'volumes');
    const [volume = ''] = await readdir(volumes);
    assert.equal(await readFile(join(volumes, volume, 'file'), 'utf8'), 'kept\n');

    // The directory was made for the claim, and goes with it once no Pod names it any more, not even one that has ended.
    await system.client.delete(CLAIMS, { namespace: 'default', name: 'data' }, system.signal);
    await system.client.delete(PODS, { namespace: 'default', name: 'p' }, system.signal);
    while ((await readdir(volumes)).length > 0) await setImmediate();
  });
});

test('a claim that is bound to a volume made by hand leads to the directory that the volume names', async () => {
  await withNodeSystem({}, async (system) => {
    const path = join(system.root, 'by hand');
    await system.create({
      kind: 'PersistentVolume',
      metadata: { name: 'pv', namespace: undefined },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'manual',
        hostPath: { path, type: 'DirectoryOrCreate' },
      },
    } as never);
    await system.create({
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data' },
      spec: {
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'manual',
        resources: { requests: { storage: '1Gi' } },
      },
    } as never);
    await system.createPod('p', {
      restartPolicy: 'Never',
      volumes: [{ name: 'claim', persistentVolumeClaim: { claimName: 'data' } }],
      containers: [sh('echo kept >/claim/file', { volumeMounts: [{ name: 'claim', mountPath: '/claim' }] })],
    });
    await system.until('p', 'Succeeded', phase('Succeeded'));
    assert.equal(await readFile(join(path, 'file'), 'utf8'), 'kept\n');
  });
});

const configErrors: { name: string; container: Partial<Container>; message: string | RegExp }[] = [
  {
    name: 'a secret that is missing',
    container: { env: [{ name: 'X', valueFrom: { secretKeyRef: { name: 'nope', key: 'k' } } }] },
    message: 'secret "nope" not found',
  },
  {
    name: 'a config map without the key',
    container: {
      env: [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'kube-root-ca.crt', key: 'k' } } }],
    },
    message: "couldn't find key k in ConfigMap default/kube-root-ca.crt",
  },
  {
    name: 'a container that must not be root',
    container: { securityContext: { runAsNonRoot: true } },
    message:
      /^container has runAsNonRoot and image will run as root \(pod: "p_default\(.*\)", container: a\)$/,
  },
];
for (const { name, container, message } of configErrors) {
  test(`${name} gives CreateContainerConfigError in the kubelet’s words`, async () => {
    await withNodeSystem({}, async (system) => {
      await system.createPod('p', { containers: [sh('true', container)] });
      const pod = await system.until(
        'p',
        'CreateContainerConfigError',
        waiting('CreateContainerConfigError'),
      );
      const said = pod?.status?.containerStatuses?.[0]?.state?.waiting?.message ?? '';
      if (typeof message === 'string') assert.equal(said, message);
      else assert.match(said, message);
      assert.ok((await eventLines(system, 'p')).includes(`Warning Failed Error: ${said}`));
    });
  });
}

test('a program that is not in the image is a StartError with RunContainerError while it waits', async () => {
  await withNodeSystem({}, async (system) => {
    await system.createPod('p', {
      restartPolicy: 'Never',
      containers: [{ name: 'a', image: IMAGE, command: ['nosuch'] }],
    });
    const pod = await system.until('p', 'Failed', phase('Failed'));
    const terminated = pod?.status?.containerStatuses?.[0]?.state?.terminated;
    assert.equal(terminated?.exitCode, 128);
    assert.equal(terminated?.reason, 'StartError');
    assert.match(terminated?.message ?? '', /exec: "nosuch": executable file not found in \$PATH/);
    assert.equal(terminated?.startedAt, '1970-01-01T00:00:00Z');
    const lines = await eventLines(system, 'p');
    assert.equal(lines.at(-2), 'Normal Created Container created');
    assert.match(
      lines.at(-1) ?? '',
      /^Warning Failed Error: failed to create containerd task: failed to create shim task: OCI runtime create failed/,
    );
  });
});

test('a deleted Pod is stopped with its grace, reported, and then gone with everything that it had', async () => {
  await withNodeSystem({}, async (system) => {
    await system.createPod('p', {
      terminationGracePeriodSeconds: 30,
      containers: [sh(`trap "echo bye; exit 0" TERM; echo up; sleep 1000000 & wait`)],
    });
    const pod = await system.until('p', 'ready', ready);
    await logged(system, 'p', 'up');
    await system.client.delete(typeOfPod, { namespace: 'default', name: 'p' }, system.signal);
    await system.until('p', 'gone', (pod) => pod === undefined);
    assert.ok((await eventLines(system, 'p')).includes('Normal Killing Stopping container a'));
    const last = system.statuses('p').at(-1);
    assert.equal(last?.status?.containerStatuses?.[0]?.state?.terminated?.exitCode, 0);
    await nothingLeft(system, pod?.metadata.uid ?? '');
  });
});

test('a Pod deleted with grace 0 disappears at once and its container is killed', async () => {
  await withNodeSystem({}, async (system) => {
    await system.createPod('p', { terminationGracePeriodSeconds: 0, containers: [sh(FOREVER)] });
    const pod = await system.until('p', 'ready', ready);
    await system.client.delete(typeOfPod, { namespace: 'default', name: 'p' }, system.signal, {
      gracePeriodSeconds: 0,
    });
    await system.until('p', 'gone', (pod) => pod === undefined);
    await nothingLeft(system, pod?.metadata.uid ?? '');
  });
});

test('a Pod of the same name as one that is still being ended is a Pod of its own: status, log, and no warning', async () => {
  await withNodeSystem({}, async (system) => {
    const stubborn = 'trap "" TERM; echo old; sleep 1000000';
    await system.createPod('p', { terminationGracePeriodSeconds: 5, containers: [sh(stubborn)] });
    const old = await system.until('p', 'ready', ready);
    await logged(system, 'p', 'old');
    await system.client.delete(typeOfPod, { namespace: 'default', name: 'p' }, system.signal, {
      gracePeriodSeconds: 0,
    });
    await system.createPod('p', { restartPolicy: 'Never', containers: [sh('echo new')] });
    await system.until('p', 'succeeded', phase('Succeeded'));
    assert.deepEqual(await system.logs('p'), { status: 200, text: 'new\n' });
    const podUid = old?.metadata.uid ?? '';
    const [container] = await system.runtime().listContainers({ podUid }, system.signal);
    assert.equal(container?.state, 'running', 'the old Pod should still be there');
    await nothingLeft(system, podUid);
    assert.equal((await system.pod('p'))?.status?.phase, 'Succeeded');
    assert.deepEqual(await system.logs('p'), { status: 200, text: 'new\n' });
    assert.deepEqual(system.warnings, []);
  });
});

test('4.15 a Pod that has no status yet has no log either', async () => {
  await withNodeSystem({}, async (system) => {
    const pulled = Promise.withResolvers<void>();
    const { onPull } = system.images;
    system.images.onPull = async (...args) => {
      await pulled.promise;
      return await onPull(...args);
    };
    await system.createPod('p', { containers: [sh(FOREVER)] });
    await system.until('p', 'creating', waiting('ContainerCreating'));
    const { status, text } = await system.logs('p');
    assert.equal(status, 400);
    assert.match(text, /container \\"a\\" in pod \\"p\\" is waiting to start: ContainerCreating/);
    pulled.resolve();
  });
});

test('containers outlive the agent: the next one finds them, restarts nothing, and removes what was deleted meanwhile', async () => {
  await withNodeSystem({}, async (system) => {
    await system.createPod('stays', { containers: [sh(FOREVER)] });
    await system.createPod('goes', { containers: [sh(FOREVER)] });
    const before = await system.until('stays', 'ready', ready);
    const gone = await system.until('goes', 'ready', ready);
    await system.stopKubelet();
    await system.client.delete(typeOfPod, { namespace: 'default', name: 'goes' }, system.signal, {
      gracePeriodSeconds: 0,
    });
    await system.startKubelet();
    await nothingLeft(system, gone?.metadata.uid ?? '');
    const containers = await system
      .runtime()
      .listContainers({ podUid: before?.metadata.uid ?? '' }, system.signal);
    assert.deepEqual(
      containers.map(({ id, state }) => [`drayage://${id}`, state]),
      [[before?.status?.containerStatuses?.[0]?.containerID, 'running']],
    );
    assert.equal((await system.pod('stays'))?.status?.containerStatuses?.[0]?.restartCount, 0);
  });
});

test('probes decide about readiness, and a failed liveness probe restarts the container', async () => {
  await withNodeSystem({}, async (system) => {
    await mkdir(join(system.root, 'gates'), { recursive: true });
    const exec = (file: string) => ({
      exec: { command: ['/bin/ls', `/gates/${file}`] },
      periodSeconds: 1,
      timeoutSeconds: 10,
    });
    await writeFile(join(system.root, 'gates/alive'), '');
    await system.createPod('p', {
      volumes: [{ name: 'gates', hostPath: { path: join(system.root, 'gates') } }],
      containers: [
        sh(FOREVER, {
          volumeMounts: [{ name: 'gates', mountPath: '/gates' }],
          readinessProbe: exec('ready'),
          livenessProbe: { ...exec('alive'), failureThreshold: 1 },
        }),
      ],
    });
    const running = await system.until('p', 'Running', phase('Running'));
    assert.equal(running?.status?.containerStatuses?.[0]?.ready, false);
    await untilEvent(system, 'p', 'Readiness probe failed', 1);
    await writeFile(join(system.root, 'gates/ready'), '');
    await system.until('p', 'ready', ready);
    const { rm } = await import('node:fs/promises');
    await rm(join(system.root, 'gates/alive'));
    const again = await system.until(
      'p',
      'restarted',
      (pod) => (pod?.status?.containerStatuses?.[0]?.restartCount ?? 0) > 0,
    );
    assert.ok(again);
    const lines = await eventLines(system, 'p');
    assert.ok(
      lines.some((line) => line.startsWith('Warning Unhealthy Liveness probe failed: ')),
      lines.join('\n'),
    );
    assert.ok(lines.some((line) => line.startsWith('Warning Unhealthy Readiness probe failed: ')));
    assert.ok(lines.includes('Normal Killing Container a failed liveness probe, will be restarted'));
  });
});

test('3.37 3.38 an image volume is mounted read-only; one that cannot be had fails the container that mounts it', async () => {
  await withNodeSystem({}, async (system) => {
    const volumeMounts = [{ name: 'v', mountPath: '/image' }];
    const volumes = [{ name: 'v', image: { reference: 'registry.example/data:1' } }];
    await system.createPod('p', {
      restartPolicy: 'Never',
      volumes,
      containers: [
        sh('cat /image/etc/group | head -n 1; touch /image/x 2>/dev/null || echo read-only', {
          volumeMounts,
        }),
      ],
    });
    await system.until('p', 'Succeeded', phase('Succeeded'));
    assert.equal((await system.logs('p')).text, 'root:x:0:\nread-only\n');
    const first = (await podEvents(system, 'p'))[0];
    assert.equal(first?.line, 'Normal Pulling Pulling image "registry.example/data:1"');
    assert.equal(first?.fieldPath, undefined);

    await system.createPod('q', {
      volumes: [{ name: 'v', image: { reference: 'registry.example/no:1', pullPolicy: 'Never' } }],
      containers: [sh('true', { volumeMounts })],
    });
    await system.until('q', 'ErrImageNeverPull', waiting('ErrImageNeverPull'));
    const events = await podEvents(system, 'q');
    assert.ok(
      events.some(
        ({ line, fieldPath }) =>
          line === 'Warning Failed Error: ErrImageNeverPull' && fieldPath === 'spec.containers{a}',
      ),
    );
  });
});

test('a Pod that is active for longer than it may be is ended, and says so in the kubelet’s words', async () => {
  await withNodeSystem({}, async (system) => {
    const began = Date.now();
    await system.createPod('p', { activeDeadlineSeconds: 2, containers: [sh(FOREVER)] });
    await system.until('p', 'running', phase('Running'));
    const pod = await system.until('p', 'failed', phase('Failed'));
    assert.ok(Date.now() - began >= 1000);
    assert.equal(pod?.status?.reason, 'DeadlineExceeded');
    const message = 'Pod was active on the node longer than the specified deadline';
    assert.equal(pod?.status?.message, message);
    const last = await system.until(
      'p',
      'ended',
      (now) => now?.status?.containerStatuses?.[0]?.state?.terminated !== undefined,
    );
    assert.equal(last?.status?.phase, 'Failed');
    const lines = await eventLines(system, 'p');
    assert.equal(lines.filter((line) => line === `Normal DeadlineExceeded ${message}`).length, 1);
  });
});

test('an emptyDir in memory is a tmpfs of its size and belongs to the fsGroup; it goes with its Pod', async (t) => {
  if (process.getuid?.() !== 0) {
    t.skip('only root may mount and give files to a group');
    return;
  }
  await withNodeSystem({}, async (system) => {
    const pod = await system.createPod('p', {
      restartPolicy: 'Never',
      securityContext: { fsGroup: 2002 },
      volumes: [
        { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
        { name: 'disk', emptyDir: {} },
      ],
      containers: [
        sh(
          'touch /memory/x; ls -ldn /memory /disk /memory/x; grep " /memory " /proc/mounts; ' +
            'head -c 2000000 /dev/zero > /memory/y || echo full',
          {
            volumeMounts: [
              { name: 'memory', mountPath: '/memory' },
              { name: 'disk', mountPath: '/disk' },
            ],
          },
        ),
      ],
    });
    await system.until('p', 'succeeded', phase('Succeeded'));
    const { text } = await system.logs('p');
    assert.match(text, /^drwxrwsrwx\S* +\d+ +0 +2002 .* \/memory$/m);
    assert.match(text, /^drwxrwsrwx\S* +\d+ +0 +2002 .* \/disk$/m);
    assert.match(text, /^-\S+ +1 +0 +2002 .* \/memory\/x$/m);
    assert.match(text, /^tmpfs \/memory tmpfs \S*size=1024k/m);
    assert.match(text, /^full$/m);
    await system.client.delete(typeOfPod, { namespace: 'default', name: 'p' }, system.signal);
    await system.until('p', 'gone', (now) => now === undefined);
    await nothingLeft(system, pod.metadata.uid ?? '');
    assert.ok(!(await readFile('/proc/mounts', 'utf8')).includes(pod.metadata.uid ?? 'none'));
  });
});

test('a container for looking into a running Pod is started once beside the others', async () => {
  await withNodeSystem({}, async (system) => {
    await system.createPod('p', { containers: [sh(FOREVER)] });
    const before = await system.until('p', 'ready', ready);
    const ephemeralContainers = [
      { name: 'look', image: IMAGE, command: ['/bin/sh', '-c', 'echo looked; exit 3'] },
    ];
    await system.client.patch(
      typeOfPod,
      { namespace: 'default', name: 'p' },
      { spec: { ephemeralContainers } },
      'strategic',
      system.signal,
      { subresource: 'ephemeralcontainers' },
    );
    const pod = await system.until(
      'p',
      'looked into',
      (now) => now?.status?.ephemeralContainerStatuses?.[0]?.state?.terminated !== undefined,
    );
    const [look] = pod?.status?.ephemeralContainerStatuses ?? [];
    assert.equal(look?.state?.terminated?.exitCode, 3);
    assert.equal(look?.restartCount, 0);
    assert.equal(look?.ready, false);
    assert.equal(pod?.status?.phase, 'Running');
    assert.deepEqual(await system.logs('p', '?container=look'), { status: 200, text: 'looked\n' });
    const events = await podEvents(system, 'p');
    assert.equal(events.filter(({ fieldPath }) => fieldPath === 'spec.ephemeralContainers{look}').length, 3);
    assert.equal(
      pod?.status?.containerStatuses?.[0]?.containerID,
      before?.status?.containerStatuses?.[0]?.containerID,
    );
  });
});

test('a log is followed until the container ends, and cut to what is asked for', async () => {
  await withNodeSystem({}, async (system) => {
    await system.createPod('p', {
      restartPolicy: 'Never',
      containers: [sh('for i in 1 2 3 4; do echo line $i; sleep 0.1; done; printf unfinished')],
    });
    await system.until(
      'p',
      'started',
      (pod) => pod?.status?.phase === 'Running' || pod?.status?.phase === 'Succeeded',
    );
    assert.equal(
      (await system.logs('p', '?follow=true')).text,
      'line 1\nline 2\nline 3\nline 4\nunfinished\n',
    );
    assert.equal((await system.logs('p', '?tailLines=2')).text, 'line 4\nunfinished\n');
    assert.equal((await system.logs('p', '?limitBytes=4')).text, 'line');
    assert.match((await system.logs('p', '?timestamps=true&tailLines=1')).text, /^\d{4}-\S+Z unfinished\n$/);
  });
});

const typeOfPod = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true } as const;

async function untilEvent(system: NodeSystem, name: string, text: string, count: number): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    const events = await system.events(name);
    if (events.some((event) => event.line.includes(text) && event.count >= count)) return;
  }
  assert.fail(`no event "${text}" (x${count})`);
}

async function logged(system: NodeSystem, name: string, text: string): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if ((await system.logs(name)).text.includes(text)) return;
  }
  assert.fail(`${text} never appeared in the log`);
}

async function nothingLeft(system: NodeSystem, uid: string): Promise<void> {
  const { existsSync } = await import('node:fs');
  for (let tries = 0; tries < 500; tries++) {
    const sandboxes = await system.runtime().listPodSandboxes(system.signal);
    const left = sandboxes.filter((sandbox) => sandbox.config.uid === uid);
    if (left.length === 0 && !existsSync(join(system.root, 'kubelet/pods', uid))) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail('something of the Pod is left');
}
