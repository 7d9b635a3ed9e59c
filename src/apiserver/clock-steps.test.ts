import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import type { KubeObject } from '../kube/object.ts';
import { expireEvents } from './maintenance.ts';
import { HISTORY_MS, ObjectStore } from './object-store.ts';

/* A clock that is set forward or back while the server runs: numbers go on, nothing is lost, nothing is kept for ever. */

const HOUR_MS = 3600_000;
const key = (name: string, resource = 'configmaps') => ({ resource, namespace: 'a', name });
const object = (name: string): KubeObject => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } });

test('resource versions do not follow the clock', () => {
  const clock = new ManualClock(Date.now());
  const store = new ObjectStore(':memory:', clock);
  const first = store.create(key('a'), object('a'));
  clock.set(clock.now() - 24 * HOUR_MS);
  const second = store.create(key('b'), object('b'));
  clock.set(clock.now() + 48 * HOUR_MS);
  const third = store.update(key('a'), first.revision, object('a'));
  assert.deepEqual([second.revision, third.revision], [first.revision + 1, first.revision + 2]);
  store.close();
});

test('a clock set forward forgets history, never an object', () => {
  const clock = new ManualClock(Date.now());
  const store = new ObjectStore(':memory:', clock);
  store.create(key('a'), object('a'));
  clock.set(clock.now() + 24 * HOUR_MS);
  store.compact();
  assert.equal(store.list('configmaps').items.length, 1);
  store.close();
});

test('history written before the clock was set back is forgotten once new changes are old enough', () => {
  const clock = new ManualClock(Date.now());
  const store = new ObjectStore(':memory:', clock);
  store.create(key('a'), object('a'));
  clock.set(clock.now() - HOUR_MS);
  const later = store.create(key('b'), object('b'));
  clock.set(clock.now() + HISTORY_MS + 1);
  store.create(key('c'), object('c'));
  store.compact();
  assert.equal(store.compacted, later.revision);
  assert.equal(store.list('configmaps').items.length, 3);
  store.close();
});

test('an event from what is now the future stays until its hour is over, and goes then', () => {
  const clock = new ManualClock(Date.now());
  const store = new ObjectStore(':memory:', clock);
  store.create(key('e', 'events'), object('e'));
  clock.set(clock.now() - HOUR_MS);
  expireEvents(store, clock.now());
  assert.ok(store.get(key('e', 'events')) !== undefined);
  clock.set(clock.now() + 2 * HOUR_MS + 1);
  expireEvents(store, clock.now());
  assert.equal(store.get(key('e', 'events')), undefined);
  store.close();
});
