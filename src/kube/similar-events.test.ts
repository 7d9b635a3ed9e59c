import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimilarEvents } from './similar-events.ts';

const MINUTE_MS = 60_000;

test('from the tenth message of a group on, all share one event', () => {
  const similar = new SimilarEvents();
  const told = Array.from({ length: 12 }, (_, index) =>
    similar.combined('rs/web FailedCreate', `m${index}`, 0),
  );
  assert.deepEqual(
    told.slice(0, 9),
    Array.from({ length: 9 }, () => undefined),
  );
  assert.deepEqual(
    told.slice(9),
    ['m9', 'm10', 'm11'].map((message) => `(combined from similar events): ${message}`),
  );
});

test('the same message again is no other one, nor are those of other groups', () => {
  const similar = new SimilarEvents();
  for (let index = 0; index < 20; index++) {
    assert.equal(similar.combined('a', 'same', 0), undefined);
    assert.equal(similar.combined(`group ${index}`, `m${index}`, 0), undefined);
  }
});

test('ten minutes of silence end a group', () => {
  const similar = new SimilarEvents();
  for (let index = 0; index < 12; index++) similar.combined('a', `m${index}`, 0);
  assert.notEqual(similar.combined('a', 'other', 10 * MINUTE_MS), undefined);
  assert.equal(similar.combined('a', 'another', 20 * MINUTE_MS + 1), undefined);
});
