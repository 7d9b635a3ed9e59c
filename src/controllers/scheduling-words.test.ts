import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refuse, type Fit } from './scheduling-fit.ts';
import { HELPLESS, neverPush, nowhereMessage, pushNobody, unschedulableMessage } from './scheduling-words.ts';

const FITS: readonly Fit[] = [
  refuse("node(s) didn't match Pod's node affinity/selector"),
  { fits: false, reasons: ['Insufficient cpu', 'Insufficient memory'], helpless: false },
  { fits: false, reasons: ['Insufficient cpu'], helpless: false },
];
const START =
  "0/3 nodes are available: 1 Insufficient memory, 1 node(s) didn't match Pod's node affinity/selector, 2 Insufficient cpu.";

test('the message counts nodes by reason, then those where pushing others off does not help', () => {
  assert.equal(unschedulableMessage([], ''), 'no nodes available to schedule pods');
  const nobody = refuse('No preemption victims found for incoming pod');
  assert.equal(
    unschedulableMessage(FITS, pushNobody([HELPLESS, nobody, nobody])),
    `${START} no new claims to deallocate, preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod.`,
  );
});

test('the message ends early when room is made, or may not be', () => {
  assert.equal(unschedulableMessage(FITS, ''), START);
  assert.equal(
    unschedulableMessage(FITS, neverPush('not eligible due to preemptionPolicy=Never.')),
    `${START} no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never.`,
  );
});

test('what keeps a Pod from every node at once is said once', () => {
  assert.equal(
    nowhereMessage('persistentvolumeclaim "c" not found', 2),
    '0/2 nodes are available: persistentvolumeclaim "c" not found. no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.',
  );
  assert.equal(
    nowhereMessage('persistentvolumeclaim "c" not found', 0),
    'no nodes available to schedule pods',
  );
});
