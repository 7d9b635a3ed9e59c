import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { KubeObject } from '../kube/object.ts';
import { backupDatabase, BackupError, restoreDatabase } from './backup-store.ts';
import { ObjectStore } from './object-store.ts';
import { StoreError } from './stored-object.ts';

const key = (name: string) => ({ resource: 'configmaps', namespace: 'a', name });
const object = (name: string): KubeObject => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } });
const isCode = (code: string) => (error: unknown) => error instanceof BackupError && error.code === code;

function temporary(t: { after: (fn: () => void) => void }): string {
  const directory = mkdtempSync(join(tmpdir(), 'drayage-backup-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

test('a backup made while the store is written holds all that was acknowledged, and can be restored', async (t) => {
  const directory = temporary(t);
  const path = join(directory, 'api.db');
  const target = join(directory, 'backup.db');
  const store = new ObjectStore(path);
  store.create(key('one'), object('one'));
  store.create(key('two'), object('two'));
  await store.settled();
  const report = await backupDatabase(path, target);
  assert.deepEqual(report, { objects: 2, revision: store.revision });
  store.create(key('three'), object('three'));
  await store.settled();
  const last = store.revision;
  store.close();

  assert.deepEqual(await restoreDatabase(target, path), report);
  const restored = new ObjectStore(path);
  assert.deepEqual(
    restored.list('configmaps').items.map((item) => item.key.name),
    ['one', 'two'],
  );
  // A number that somebody may hold for the lost object never comes again, and watching from it is answered with 410.
  assert.ok(restored.revision > last);
  assert.throws(
    () => restored.changesAfter('configmaps', last, 10),
    (error) => error instanceof StoreError && error.code === 'EXPIRED',
  );
  assert.ok(restored.create(key('four'), object('four')).revision > restored.revision - 2);
  await restored.settled();
  restored.close();
  const before = new ObjectStore(`${path}.before-restore`);
  assert.equal(before.list('configmaps').items.length, 3);
  before.close();
});

test('a store that was lost is restored into an empty directory', async (t) => {
  const directory = temporary(t);
  const path = join(directory, 'api.db');
  const target = join(directory, 'backup.db');
  const store = new ObjectStore(path);
  store.create(key('one'), object('one'));
  store.close();
  await backupDatabase(path, target);
  rmSync(path);
  await restoreDatabase(target, path);
  const restored = new ObjectStore(path);
  assert.equal(restored.list('configmaps').items.length, 1);
  restored.close();
});

test('what is no backup is refused, and the database stays as it is', async (t) => {
  const directory = temporary(t);
  const path = join(directory, 'api.db');
  const store = new ObjectStore(path);
  store.create(key('one'), object('one'));
  store.close();
  const bad = join(directory, 'bad');
  for (const bytes of ['', 'not a database', 'SQLite format 3\0 and then nothing']) {
    writeFileSync(bad, bytes);
    await assert.rejects(restoreDatabase(bad, path), isCode('DAMAGED'), JSON.stringify(bytes));
  }
  await assert.rejects(restoreDatabase(join(directory, 'absent'), path), isCode('ABSENT'));
  await assert.rejects(backupDatabase(join(directory, 'absent'), bad), isCode('ABSENT'));
  await assert.rejects(backupDatabase(path, bad), isCode('EXISTS'));
  await assert.rejects(backupDatabase(path, join(bad, 'x', 'y')), isCode('ABSENT'));
  const kept = new ObjectStore(path);
  assert.equal(kept.list('configmaps').items.length, 1);
  kept.close();
  assert.deepEqual(
    readdirSync(directory).filter((name) => name.includes('restore') || name.endsWith('.tmp')),
    [],
  );
  assert.ok(!existsSync(`${path}.before-restore`));
});
