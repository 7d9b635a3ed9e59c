import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Candidate } from '../../credentials/keyring.ts';
import { imageOf, openBench, podNamed, secretCandidate, type Bench } from './_manager-fixture.ts';
import type { VerificationPolicy } from './verification-policy.ts';

/*
 * Who may use an image that is on the node (rules 3.6, 3.7, 3.12 to 3.15, 3.23): each policy, each way in which the image came,
 * each thing that a second Pod can show, before and after a restart of the agent.
 */

const LISTED = 'r.example/open/a:1';
const OTHER = 'r.example/closed/a:1';
const ALLOWLIST = ['r.example/open/*'];

function account(uid: string): Candidate {
  return {
    ...secretCandidate('unused', 'token'),
    source: { kind: 'service-account', provider: 'plugin', namespace: 'demo', name: 'builder', uid },
  };
}
const nodeFile: Candidate = {
  ...secretCandidate('unused', 'node'),
  source: { kind: 'node-file', path: '/root/.docker/config.json' },
};
const secret = secretCandidate('reg');

/** How the image came to the node; undefined when nobody pulled it. */
const ORIGINS: Readonly<Record<string, readonly Candidate[] | undefined>> = {
  preloaded: undefined,
  anonymously: [],
  'a credential of the node': [nodeFile],
  'a secret': [secret],
  'a service account': [account('1')],
};

/** What the second Pod shows, and which origins that proves a right to. */
const PODS: Readonly<Record<string, { readonly shows: readonly Candidate[]; readonly proves?: string }>> = {
  nothing: { shows: [] },
  'the same secret': { shows: [secret], proves: 'a secret' },
  'another secret of the same content': {
    shows: [secretCandidate('copy', 'p')],
    proves: 'a secret',
  },
  'the same secret with a new password': { shows: [secretCandidate('reg', 'new')], proves: 'a secret' },
  'a secret of that name made anew, with another password': {
    shows: [secretCandidate('reg', 'new', 'uid-of-the-second')],
  },
  'another secret': { shows: [secretCandidate('other', 'else')] },
  'a wrong secret before the right one': {
    shows: [secretCandidate('other', 'else'), secret],
    proves: 'a secret',
  },
  'a credential of the node': { shows: [nodeFile] },
  'the same service account': { shows: [account('1')], proves: 'a service account' },
  'a service account made anew': { shows: [account('2')] },
};

/** Tells whether the second Pod may use the image as it is. */
type Rule = (origin: string, proven: boolean) => boolean;
const byRecord: Rule = (origin, proven) =>
  proven || origin === 'anonymously' || origin === 'a credential of the node';
const POLICIES: readonly (readonly [VerificationPolicy, string, Rule])[] = [
  ['NeverVerify', OTHER, () => true],
  [
    'NeverVerifyPreloadedImages',
    OTHER,
    (origin, proven) => origin === 'preloaded' || byRecord(origin, proven),
  ],
  ['NeverVerifyAllowlistedImages', LISTED, () => true],
  ['NeverVerifyAllowlistedImages', OTHER, byRecord],
  ['AlwaysVerify', OTHER, byRecord],
];

for (const [verificationPolicy, image, rule] of POLICIES) {
  const settings = {
    verificationPolicy,
    verificationAllowlist: verificationPolicy === 'NeverVerifyAllowlistedImages' ? ALLOWLIST : [],
    registryPullQps: 0,
  };
  for (const [origin, pulledWith] of Object.entries(ORIGINS)) {
    test(`3.12 3.14 3.23 ${verificationPolicy}, ${image}, ${origin}`, async () => {
      for (const [pod, { shows, proves }] of Object.entries(PODS)) {
        const free = rule(origin, proves === origin);
        const first = await openBench(settings);
        try {
          await arrive(first, image, pulledWith);
          first.candidates = () => Promise.resolve(shows);
          await neverPulls(first, image, free, pod);
          const later = await openBench(settings, { imageService: first.runtime }, first.root);
          later.candidates = () => Promise.resolve(shows);
          await neverPulls(later, image, free, `${pod}, after a restart`);
          await pullsUnless(first, later, image, free, pod);
          // What it has proven or pulled holds from now on.
          await neverPulls(later, image, true, `${pod}, afterwards`);
        } finally {
          await first.close();
        }
      }
    });
  }
}

async function arrive(b: Bench, image: string, pulledWith: readonly Candidate[] | undefined): Promise<void> {
  if (pulledWith === undefined) {
    b.runtime.images.set(image, imageOf(image));
    return;
  }
  b.candidates = () => Promise.resolve(pulledWith);
  assert.equal((await b.ensure(podNamed('owner'), image, 'IfNotPresent')).ok, true);
  assert.equal(b.runtime.pulls.length, 1);
  b.said();
  b.runtime.pulls.length = 0;
}

/** With `Never`, an image that the Pod may not use is as if it were absent (rule 3.7). */
async function neverPulls(b: Bench, image: string, free: boolean, pod: string): Promise<void> {
  const message = `Container image "${image}" is not present with pull policy of Never`;
  assert.deepEqual(
    await b.ensure(podNamed('second'), image, 'Never'),
    free ? { ok: true, imageRef: imageOf(image).id } : { ok: false, reason: 'ErrImageNeverPull', message },
    pod,
  );
  assert.deepEqual(
    b.said(),
    [
      free
        ? `Normal Pulled Container image "${image}" already present on machine and can be accessed by the pod`
        : `Warning ErrImageNeverPull ${message}`,
    ],
    pod,
  );
}

async function pullsUnless(
  first: Bench,
  later: Bench,
  image: string,
  free: boolean,
  pod: string,
): Promise<void> {
  assert.equal(first.runtime.pulls.length, 0, pod);
  assert.equal((await later.ensure(podNamed('second'), image, 'IfNotPresent')).ok, true, pod);
  assert.equal(first.runtime.pulls.length, free ? 0 : 1, pod);
  const said = later.said();
  assert.equal(said.length, free ? 1 : 2, pod);
  if (!free) assert.equal(said[0], `Normal Pulling Pulling image "${image}"`, pod);
}

test('3.18 3.21 a Pod with a wrong secret does not get what another Pod pulled, and the record stays as it was', async () => {
  const b = await openBench({ verificationPolicy: 'NeverVerifyPreloadedImages', registryPullQps: 0 });
  try {
    await arrive(b, OTHER, [secret]);
    b.candidates = () => Promise.resolve([secretCandidate('one', 'x'), secretCandidate('two', 'y')]);
    b.runtime.onPull = (_spec, auth) => Promise.reject(new Error(`no ${String(auth?.password === 'x')}`));
    assert.deepEqual(await b.ensure(podNamed('second'), OTHER, 'IfNotPresent'), {
      ok: false,
      reason: 'ErrImagePull',
      message: '[no true, no false]',
    });
    assert.deepEqual(b.said(), [
      `Normal Pulling Pulling image "${OTHER}"`,
      `Warning Failed Failed to pull image "${OTHER}": [no true, no false]`,
    ]);
    b.candidates = () => Promise.resolve([secretCandidate('two', 'y')]);
    await neverPulls(b, OTHER, false, 'the refused secret');
    b.candidates = () => Promise.resolve([secret]);
    await neverPulls(b, OTHER, true, 'the owner’s secret');
  } finally {
    await b.close();
  }
});
