import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/manual-clock.ts';
import { PullJournal } from './pull-journal.ts';

test('a node’s page of pulls shows what waits, what is on its way and how the last ones ended, newest first', async () => {
  const clock = new ManualClock(Date.parse('2026-01-02T03:04:05Z'));
  const journal = new PullJournal(clock);
  const first = journal.begin('a:1', 'default/p');
  const second = journal.begin('b:1', 'default/q');
  journal.begin('c:1', 'default/r');
  await clock.advance(1000);
  first.started();
  second.started();
  await clock.advance(500);
  first.pulled('sha256:a', 42);
  second.failed('not found');
  const start = '2026-01-02T03:04:05Z';
  const common = { requestedAt: start, startedAt: '2026-01-02T03:04:06Z', endedAt: '2026-01-02T03:04:06Z' };
  assert.deepEqual(journal.page(), {
    pulling: [{ image: 'c:1', pod: 'default/r', state: 'waiting', requestedAt: start }],
    ended: [
      { image: 'b:1', pod: 'default/q', ...common, seconds: 1.5, state: 'failed', error: 'not found' },
      {
        image: 'a:1',
        pod: 'default/p',
        ...common,
        seconds: 1.5,
        state: 'pulled',
        imageRef: 'sha256:a',
        bytes: 42,
      },
    ],
  });
});

test('no more than the last five hundred pulls are remembered, and of an error no more than of an event', () => {
  const journal = new PullJournal(new ManualClock(0));
  for (let i = 0; i < 600; i++) journal.begin(`x:${i}`, 'default/p').failed('no'.repeat(1000));
  const { ended } = journal.page();
  assert.equal(ended.length, 500);
  assert.equal(ended[0]?.image, 'x:599');
  assert.equal(ended[0]?.error?.length, 1024);
});
