import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Container, Pod, PodSpec } from '../kube/pod.ts';
import type { ContainerStatus } from '../runtime/runtime-service.ts';
import { planPod, type PodPlan, type ProbeVerdicts } from './plan-pod.ts';
import { containerAnnotations } from './runtime-labels.ts';
import type { RuntimePod } from './runtime-pod.ts';

const image = 'i';
const app: Container = { name: 'a', image };
const init: Container = { name: 'i', image };
const sidecar: Container = { name: 's', image, restartPolicy: 'Always' };
const calm: ProbeVerdicts = { started: () => true, unhealthy: () => undefined };

function pod(spec: Partial<PodSpec>): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'd', uid: 'u' },
    spec: { containers: [app], ...spec },
  };
}

/** Describes what runs: `a` runs, `a:0` ended with 0; each only once. */
function running(
  subject: Pod,
  words: readonly string[],
  sandbox: 'ready' | 'notReady' | 'none' = 'ready',
): RuntimePod {
  const containers = new Map<string, ContainerStatus[]>();
  for (const word of words) {
    const [name = '', code] = word.split(':');
    const all = [...subject.spec.containers, ...(subject.spec.initContainers ?? [])];
    const container = all.find((candidate) => candidate.name === name);
    assert.ok(container);
    containers.set(name, [
      {
        id: `id-${name}`,
        sandboxId: 'box',
        name,
        attempt: 0,
        state: code === undefined ? 'running' : 'exited',
        createdAt: 1,
        startedAt: 1,
        finishedAt: code === undefined ? 0 : 2,
        exitCode: Number(code ?? 0),
        reason: '',
        message: '',
        imageId: '',
        imageRef: '',
        image: '',
        labels: {},
        annotations: containerAnnotations(subject, container, 0),
        logPath: '',
        mounts: [],
      },
    ]);
  }
  const config = {
    name: 'p',
    uid: 'u',
    namespace: 'd',
    attempt: 0,
    hostname: 'p',
    logDirectory: '',
    labels: {},
    annotations: {},
  };
  const sandboxes = sandbox === 'none' ? [] : [{ id: 'box', config, state: sandbox, createdAt: 1 }];
  return { sandboxes, containers };
}

function words(plan: PodPlan): string {
  const parts = [
    ...(plan.createSandbox ? ['sandbox'] : []),
    ...(plan.killPod ? ['end'] : []),
    ...plan.kill.map(({ container }) => `kill ${container.name}`),
    ...plan.startInit.map(({ name }) => `init ${name}`),
    ...plan.start.map(({ name }) => `start ${name}`),
  ];
  return parts.join(', ');
}

const cases: {
  name: string;
  spec?: Partial<PodSpec>;
  runs: string[];
  sandbox?: 'ready' | 'notReady' | 'none';
  expected: string;
}[] = [
  { name: 'a new Pod', runs: [], sandbox: 'none', expected: 'sandbox, start a' },
  {
    name: 'a new Pod with init containers',
    spec: { initContainers: [init] },
    runs: [],
    sandbox: 'none',
    expected: 'sandbox, init i',
  },
  { name: 'all is well', runs: ['a'], expected: '' },
  { name: 'a container failed', runs: ['a:1'], expected: 'start a' },
  {
    name: 'a sidecar ended, in a Pod that starts nothing again',
    spec: { restartPolicy: 'Never', initContainers: [sidecar] },
    runs: ['s:0', 'a'],
    expected: 'init s',
  },
  {
    name: 'a sidecar failed, in a Pod that starts nothing again',
    spec: { restartPolicy: 'Never', initContainers: [sidecar] },
    runs: ['s:1', 'a'],
    expected: 'init s',
  },
  {
    name: 'a sidecar had failed when the sandbox was lost, in a Pod that starts nothing again',
    spec: { restartPolicy: 'Never', initContainers: [sidecar] },
    runs: ['s:1'],
    sandbox: 'none',
    expected: 'sandbox, init s',
  },
  { name: 'a container ended well and is wanted for ever', runs: ['a:0'], expected: 'start a' },
  {
    name: 'OnFailure and it ended well',
    spec: { restartPolicy: 'OnFailure' },
    runs: ['a:0'],
    expected: 'end',
  },
  {
    name: 'OnFailure and it failed',
    spec: { restartPolicy: 'OnFailure' },
    runs: ['a:1'],
    expected: 'start a',
  },
  { name: 'Never and it failed', spec: { restartPolicy: 'Never' }, runs: ['a:1'], expected: 'end' },
  {
    name: 'Never, one of two runs',
    spec: { restartPolicy: 'Never', containers: [app, { name: 'b', image }] },
    runs: ['a:1', 'b'],
    expected: '',
  },
  { name: 'an init container runs', spec: { initContainers: [init] }, runs: ['i'], expected: '' },
  { name: 'an init container is done', spec: { initContainers: [init] }, runs: ['i:0'], expected: 'start a' },
  { name: 'an init container failed', spec: { initContainers: [init] }, runs: ['i:1'], expected: 'init i' },
  {
    name: 'an init container failed and may not run again',
    spec: { initContainers: [init], restartPolicy: 'Never' },
    runs: ['i:1'],
    expected: 'end',
  },
  {
    name: 'the sidecar comes before what follows it',
    spec: { initContainers: [sidecar, init] },
    runs: [],
    expected: 'init s',
  },
  {
    name: 'the sidecar runs, the next may come',
    spec: { initContainers: [sidecar, init] },
    runs: ['s'],
    expected: 'init i',
  },
  {
    name: 'a sidecar failed beside its Pod',
    spec: { initContainers: [sidecar] },
    runs: ['s:1', 'a'],
    expected: 'init s',
  },
  {
    name: 'a sidecar does not keep a finished Pod alive',
    spec: { initContainers: [sidecar], restartPolicy: 'Never' },
    runs: ['s', 'a:0'],
    expected: 'end',
  },
  { name: 'the sandbox died', runs: ['a:137'], sandbox: 'notReady', expected: 'sandbox, start a' },
  {
    name: 'the sandbox died and nothing may run again',
    spec: { restartPolicy: 'Never' },
    runs: ['a:137'],
    sandbox: 'notReady',
    expected: 'end',
  },
];
for (const { name, spec = {}, runs, sandbox, expected } of cases) {
  test(`${name}: ${expected === '' ? 'nothing to do' : expected}`, () => {
    const subject = pod(spec);
    assert.equal(words(planPod(subject, running(subject, runs, sandbox), calm)), expected);
  });
}

test('a container whose probe failed is ended and started again; with Never it is only ended', () => {
  const verdicts: ProbeVerdicts = { started: () => true, unhealthy: () => 'liveness' };
  const always = pod({});
  assert.equal(words(planPod(always, running(always, ['a']), verdicts)), 'kill a, start a');
  const never = pod({ restartPolicy: 'Never' });
  assert.equal(words(planPod(never, running(never, ['a']), verdicts)), 'kill a');
});

test('a container whose image changed is replaced', () => {
  const before = pod({});
  const state = running(before, ['a']);
  const after = pod({ containers: [{ ...app, image: 'other' }] });
  const plan = planPod(after, state, calm);
  assert.equal(words(plan), 'kill a, start a');
  assert.equal(plan.kill[0]?.because, 'Container a definition changed, will be restarted');
});

test('nothing follows a sidecar that has not started up', () => {
  const subject = pod({ initContainers: [sidecar] });
  const verdicts: ProbeVerdicts = { started: () => false, unhealthy: () => undefined };
  assert.equal(words(planPod(subject, running(subject, ['s']), verdicts)), '');
});
