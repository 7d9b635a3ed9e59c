import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import type { KubeObject } from '../kube/object.ts';
import { HISTORY_MS, ObjectStore } from './object-store.ts';
import { StoreError, type Change } from './stored-object.ts';

const key = (name: string, namespace = 'a', resource = 'configmaps') => ({ resource, namespace, name });
const object = (name: string, data: Record<string, string> = {}): KubeObject & { data: unknown } => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
});
const isCode = (code: string) => (error: unknown) => error instanceof StoreError && error.code === code;

function temporary(t: { after: (fn: () => void) => void }): string {
  const directory = mkdtempSync(join(tmpdir(), 'drayage-store-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return join(directory, 'api.db');
}

test('a write gets the next revision, and the object carries it', () => {
  const store = new ObjectStore(':memory:');
  const first = store.create(key('x'), object('x'));
  const second = store.update(key('x'), first.revision, object('x', { a: '1' }));
  assert.equal(second.revision, first.revision + 1);
  assert.equal(store.get(key('x'))?.object.metadata.resourceVersion, String(second.revision));
  store.close();
});

test('a second create is refused, and so are writes from a stale or missing state', () => {
  const store = new ObjectStore(':memory:');
  const first = store.create(key('x'), object('x'));
  assert.throws(() => store.create(key('x'), object('x')), isCode('ALREADY_EXISTS'));
  store.update(key('x'), first.revision, object('x'));
  assert.throws(() => store.update(key('x'), first.revision, object('x')), isCode('CONFLICT'));
  assert.throws(() => store.delete(key('x'), first.revision, object('x')), isCode('CONFLICT'));
  assert.throws(() => store.update(key('y'), 1, object('y')), isCode('NOT_FOUND'));
  store.close();
});

test('a list can be paged, and every page shows the state of the first', () => {
  const store = new ObjectStore(':memory:');
  for (const name of ['b', 'c', 'a', 'd']) store.create(key(name), object(name));
  store.create(key('z', 'b'), object('z'));
  const first = store.list('configmaps', { limit: 2 });
  assert.deepEqual(
    first.items.map((item) => item.key.name),
    ['a', 'b'],
  );
  assert.equal(first.remaining, 3);
  const c = store.get(key('c'));
  assert.ok(c);
  store.delete(key('c'), c.revision, c.object);
  store.create(key('bb'), object('bb'));
  const rest = store.list('configmaps', { revision: first.revision, after: { namespace: 'a', name: 'b' } });
  assert.deepEqual(
    rest.items.map((item) => item.key.name),
    ['c', 'd', 'z'],
  );
  assert.equal(rest.remaining, 0);
  assert.deepEqual(
    store.list('configmaps', { namespace: 'a' }).items.map((item) => item.key.name),
    ['a', 'b', 'bb', 'd'],
  );
  store.close();
});

test('a list of objects that hold given texts leaves out the others before a page is full', () => {
  const store = new ObjectStore(':memory:');
  for (let i = 0; i < 20; i++)
    store.create(key(`x-${i}`), object(`x-${i}`, { app: i % 4 === 0 ? 'we"b' : 'db' }));
  const wanted = [String.raw`"app":"we\"b"`];
  const first = store.list('configmaps', { containing: wanted, limit: 3 });
  assert.deepEqual([first.items.length, first.remaining], [3, 2]);
  const last = first.items.at(-1)?.key;
  assert.ok(last !== undefined);
  assert.equal(store.list('configmaps', { containing: wanted, after: last }).items.length, 2);
  // More texts than one statement takes: those beyond are for the caller to check.
  assert.equal(
    store.list('configmaps', { containing: [...wanted, ...wanted, ...wanted, ...wanted, 'nowhere'] }).items
      .length,
    5,
  );
  store.close();
});

test('history replays each change with the state before it', () => {
  const store = new ObjectStore(':memory:');
  const start = store.revision;
  const live: Change[] = [];
  const stop = store.subscribe('configmaps', (change) => live.push(change));
  const first = store.create(key('x'), object('x', { a: '1' }));
  const second = store.update(key('x'), first.revision, object('x', { a: '2' }));
  store.create(key('other', 'a', 'secrets'), object('other'));
  store.delete(key('x'), second.revision, second.object);
  assert.equal(live.length, 0, 'nothing is announced before it is durable');
  store.flush();
  stop();
  store.create(key('unseen'), object('unseen'));
  const replayed = store.changesAfter('configmaps', start, 3);
  assert.deepEqual(replayed, live);
  assert.deepEqual(
    replayed.map((change) => change.type),
    ['ADDED', 'MODIFIED', 'DELETED'],
  );
  assert.deepEqual(replayed[1]?.previous, first.object);
  store.close();
});

test('compaction keeps current objects and answers EXPIRED for what is gone', () => {
  const clock = new ManualClock(1_000_000);
  const store = new ObjectStore(':memory:', clock);
  const first = store.create(key('x'), object('x'));
  store.update(key('x'), first.revision, object('x', { a: '2' }));
  store.compact();
  assert.equal(store.compacted, 0, 'young changes stay');
  void clock.advance(HISTORY_MS + 1);
  store.create(key('y'), object('y'));
  store.compact();
  assert.equal(store.compacted, first.revision + 1);
  assert.throws(() => store.changesAfter('configmaps', first.revision, 9), isCode('EXPIRED'));
  assert.throws(() => store.list('configmaps', { revision: first.revision }), isCode('EXPIRED'));
  assert.equal(store.changesAfter('configmaps', first.revision + 1, 9).length, 1);
  assert.equal(store.list('configmaps').items.length, 2);
  store.close();
});

test('a reopened store continues with the same objects and numbers, also after the newest was deleted and compacted', (t) => {
  const path = temporary(t);
  let store = new ObjectStore(path);
  const kept = store.create(key('kept'), object('kept', { a: '1' }));
  const gone = store.create(key('gone'), object('gone'));
  store.delete(key('gone'), gone.revision, gone.object);
  store.compact(store.revision);
  const { revision, compacted } = store;
  store.close();
  store = new ObjectStore(path);
  assert.equal(store.revision, revision);
  assert.equal(store.compacted, compacted);
  assert.deepEqual(store.get(key('kept'))?.object, kept.object);
  assert.equal(store.create(key('next'), object('next')).revision, revision + 1);
  store.close();
});

test('a file of a newer format is refused and left alone', (t) => {
  const path = temporary(t);
  const newer = new DatabaseSync(path);
  newer.exec('PRAGMA user_version = 99');
  newer.close();
  assert.throws(() => new ObjectStore(path), isCode('NEWER_VERSION'));
});

test('a backup is a store of its own', (t) => {
  const path = temporary(t);
  const store = new ObjectStore(path);
  store.create(key('x'), object('x'));
  store.backup(`${path}.copy`);
  const copy = new ObjectStore(`${path}.copy`);
  assert.equal(copy.revision, store.revision);
  assert.equal(copy.list('configmaps').items.length, 1);
  copy.close();
  store.close();
});

test('writes of one turn share a commit, and all are durable once they are settled', async (t) => {
  const path = temporary(t);
  const store = new ObjectStore(path);
  const other = new DatabaseSync(path, { readOnly: true });
  const count = (): number => (other.prepare('SELECT count(*) AS n FROM versions').get() as { n: number }).n;
  store.create(key('a'), object('a'));
  store.create(key('b'), object('b'));
  assert.equal(count(), 0);
  assert.equal(store.list('configmaps').items.length, 2, 'reads see what was written');
  await store.settled();
  assert.equal(count(), 2);
  other.close();
  store.close();
});

test('a write that the disk cannot take leaves no trace, and its number is used again', (t) => {
  const path = temporary(t);
  // A limit on the size of files is what a full disk looks like; the signal that comes with it is ignored.
  const script = `
    import { ObjectStore } from ${JSON.stringify(new URL('./object-store.ts', import.meta.url).href)};
    const store = new ObjectStore(${JSON.stringify(path)});
    const key = (name) => ({ resource: 'configmaps', namespace: 'a', name });
    const map = (name, size) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { a: 'x'.repeat(size) } });
    store.create(key('kept'), map('kept', 10));
    await store.settled();
    let failed = false;
    try {
      store.update(key('kept'), 2, map('kept', 20));
      store.get(key('kept'));
      store.create(key('huge'), map('huge', 4_000_000));
      await store.settled();
    } catch {
      failed = true;
    }
    const kept = store.get(key('kept')).object.data.a.length;
    console.log(JSON.stringify({ failed, revision: store.revision, names: store.list('configmaps').items.length, kept }));
    process.exit(0);
  `;
  const shell = `trap '' XFSZ; ulimit -f 1024; exec "$0" --input-type=module -e "$1"`;
  const ran = spawnSync('bash', ['-c', shell, process.execPath, script], { encoding: 'utf8' });
  assert.equal(ran.status, 0, ran.stderr);
  const outcome = JSON.parse(ran.stdout) as Record<string, unknown>;
  assert.deepEqual(outcome, { failed: true, revision: 2, names: 1, kept: 10 });
  const store = new ObjectStore(path);
  assert.deepEqual(
    store.list('configmaps').items.map((item) => item.key.name),
    ['kept'],
  );
  assert.equal(store.create(key('next'), object('next')).revision, 3);
  store.close();
});

test('what was acknowledged survives kill -9 at any moment, without a gap in the numbers', async (t) => {
  const path = temporary(t);
  const script = `
    import { ObjectStore } from ${JSON.stringify(new URL('./object-store.ts', import.meta.url).href)};
    const store = new ObjectStore(${JSON.stringify(path)});
    for (let i = 0; ; i++) {
      const name = 'c' + i;
      store.create({ resource: 'configmaps', namespace: 'a', name }, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } });
      await store.settled();
      console.log(i);
    }
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let last = -1;
  for await (const line of createInterface({ input: child.stdout })) {
    last = Number(line);
    if (last === 40) child.kill('SIGKILL');
  }
  assert.ok(last >= 40, 'the writer ran');
  const store = new ObjectStore(path);
  const { items } = store.list('configmaps');
  assert.ok(items.length > last, `${items.length} objects, ${last} acknowledged`);
  assert.deepEqual(
    items.map((item) => item.revision).sort((a, b) => a - b),
    items.map((_, index) => index + 2),
  );
  store.close();
});
