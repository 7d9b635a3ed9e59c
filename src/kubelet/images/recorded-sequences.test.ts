import { test } from 'node:test';
import assert from 'node:assert/strict';
import { pullPolicyOf } from '../../admission/pull-policy.ts';
import type { Candidate } from '../../credentials/keyring.ts';
import type { PullPolicy } from '../../kube/pod.ts';
import { imageOf, openBench, podNamed, secretCandidate } from './_manager-fixture.ts';

/*
 * What Kubernetes 1.36.2 with containerd 2.3 was recorded to say about images, replayed at the same moments. A step is one
 * synchronisation of a Pod; events of containers themselves (`Error: …`) belong to others and are left out.
 */

interface Step {
  /** Seconds after the start. */
  readonly at: number;
  readonly pod: string;
  readonly image: string;
  readonly policy?: PullPolicy;
  /** Events, and after an arrow the waiting reason. */
  readonly says: readonly string[];
}

interface Case {
  readonly name: string;
  /** Error of the registry for this image without, or with the wrong, credential. */
  readonly refusal?: (image: string) => string;
  readonly candidates?: (pod: string) => readonly Candidate[];
  readonly steps: readonly Step[];
}

const DENIED = (image: string): string =>
  `failed to pull and unpack image "${image}": failed to resolve reference "${image}": pull access denied, ` +
  'repository does not exist or may require authorization: authorization failed: no basic auth credentials';
const SECRET = '127.0.0.1:5513/priv/nosecret:1';
const ABSENT = '127.0.0.1:5503/test/absent:1';
const pulled = (image: string): string[] => [
  `Normal Pulling Pulling image "${image}"`,
  `Normal Pulled Successfully pulled image "${image}" in 0s (0s including waiting). Image size: 1032727 bytes.`,
];
const never = [
  `Warning ErrImageNeverPull Container image "${ABSENT}" is not present with pull policy of Never`,
  '-> ErrImageNeverPull',
];
const failed = (image: string, why: string): string[] => [
  `Normal Pulling Pulling image "${image}"`,
  `Warning Failed Failed to pull image "${image}": ${why}`,
  '-> ErrImagePull',
];
const waiting = (image: string): string[] => [
  `Normal BackOff Back-off pulling image "${image}"`,
  '-> ImagePullBackOff',
];

const CASES: readonly Case[] = [
  {
    name: 'Always pulls for each Pod; latest and no tag are Always by default',
    steps: [
      '127.0.0.1:5503/test/always:1',
      '127.0.0.1:5503/test/always:1',
      '127.0.0.1:5503/test/always:latest',
      '127.0.0.1:5503/test/always',
    ].map((image, i) => ({
      at: i * 2,
      pod: `p${i}`,
      image,
      ...(image.endsWith(':1') ? { policy: 'Always' as const } : {}),
      says: pulled(image),
    })),
  },
  {
    name: 'IfNotPresent pulls for the first Pod and finds the image for the second',
    steps: [
      {
        at: 0,
        pod: 'first',
        image: '127.0.0.1:5503/test/ifnotpresent:1',
        says: pulled('127.0.0.1:5503/test/ifnotpresent:1'),
      },
      {
        at: 3,
        pod: 'second',
        image: '127.0.0.1:5503/test/ifnotpresent:1',
        says: [
          'Normal Pulled Container image "127.0.0.1:5503/test/ifnotpresent:1" already present on machine and can be accessed by the pod',
        ],
      },
    ],
  },
  {
    name: 'Never with an absent image says so at each synchronisation',
    steps: [0.5, 0.9, 15, 25.8].map((at) => ({
      at,
      pod: 'p',
      image: ABSENT,
      policy: 'Never' as const,
      says: never,
    })),
  },
  {
    name: 'a private image without a secret is tried and waited for in turn',
    refusal: DENIED,
    steps: [
      { at: 0.6, pod: 'p', image: SECRET, says: failed(SECRET, DENIED(SECRET)) },
      { at: 0.8, pod: 'p', image: SECRET, says: waiting(SECRET) },
      { at: 14.9, pod: 'p', image: SECRET, says: failed(SECRET, DENIED(SECRET)) },
      { at: 28.8, pod: 'p', image: SECRET, says: waiting(SECRET) },
      { at: 42.7, pod: 'p', image: SECRET, says: failed(SECRET, DENIED(SECRET)) },
    ],
  },
  {
    name: 'an upper-case registry is a name like any other until somebody looks it up',
    refusal: () => 'no such host',
    steps: [
      { at: 1.4, pod: 'p', image: 'UPPER/x', says: failed('UPPER/x', 'no such host') },
      { at: 1.8, pod: 'p', image: 'UPPER/x', says: waiting('UPPER/x') },
      { at: 14.8, pod: 'p', image: 'UPPER/x', says: failed('UPPER/x', 'no such host') },
      { at: 26.7, pod: 'p', image: 'UPPER/x', says: waiting('UPPER/x') },
    ],
  },
  {
    name: 'a secret for another registry does not help',
    refusal: DENIED,
    steps: [
      {
        at: 5,
        pod: 'own',
        image: '127.0.0.1:5513/priv/wrongpw:1',
        says: failed('127.0.0.1:5513/priv/wrongpw:1', DENIED('127.0.0.1:5513/priv/wrongpw:1')),
      },
      {
        at: 5.8,
        pod: 'own',
        image: '127.0.0.1:5513/priv/wrongpw:1',
        says: waiting('127.0.0.1:5513/priv/wrongpw:1'),
      },
    ],
  },
  {
    name: 'the right secret pulls a private image',
    refusal: DENIED,
    candidates: (pod) => (pod === 'p' ? [secretCandidate('reg')] : []),
    steps: [
      {
        at: 1.3,
        pod: 'p',
        image: '127.0.0.1:5513/priv/right:1',
        says: pulled('127.0.0.1:5513/priv/right:1'),
      },
    ],
  },
];

for (const { name, refusal, candidates, steps } of CASES) {
  test(`4.1 5.1 as recorded: ${name}`, async () => {
    const bench = await openBench();
    try {
      const start = bench.clock.now();
      bench.runtime.onPull = (spec, auth) =>
        refusal !== undefined && auth === undefined
          ? Promise.reject(new Error(refusal(spec.image)))
          : Promise.resolve(imageOf(spec.image));
      for (const { at, pod, image, policy, says } of steps) {
        await bench.clock.advance(Math.round(start + at * 1000 - bench.clock.now()));
        bench.candidates = () => Promise.resolve(candidates?.(pod) ?? []);
        const result = await bench.ensure(podNamed(pod), image, policy ?? pullPolicyOf(image));
        assert.deepEqual(
          [...bench.said(), ...(result.ok ? [] : [`-> ${result.reason}`])],
          says,
          `at ${at} s`,
        );
      }
    } finally {
      await bench.close();
    }
  });
}
