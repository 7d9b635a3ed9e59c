import assert from 'node:assert/strict';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { ManualClock } from '../../base/manual-clock.ts';
import { metadataConformance } from './conformance.ts';
import { openSqliteMetadata } from './sqlite-metadata.ts';

async function directory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'dray-metadata-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

metadataConformance(async (t, clock) => {
  const metadata = openSqliteMetadata(join(await directory(t), 'registry.db'), clock);
  t.after(() => metadata.close());
  return metadata;
});

test('the file is readable by its owner alone, for it holds keys', async (t) => {
  const path = join(await directory(t), 'registry.db');
  openSqliteMetadata(path, new ManualClock()).close();
  assert.equal((await stat(path)).mode & 0o777, 0o600);
});

test('a database of a newer version is refused and left as it is', async (t) => {
  const path = join(await directory(t), 'registry.db');
  openSqliteMetadata(path, new ManualClock()).close();
  const newer = new DatabaseSync(path);
  newer.exec('PRAGMA user_version=999');
  newer.close();
  assert.throws(() => openSqliteMetadata(path, new ManualClock()), /schema version 999/);
});

test('what two openings of one file write is seen by both', async (t) => {
  const path = join(await directory(t), 'registry.db');
  const clock = new ManualClock();
  const one = openSqliteMetadata(path, clock);
  const two = openSqliteMetadata(path, clock);
  await one.users.createUser({ name: 'u', passwordHash: 'h', admin: false, createdAt: 0 });
  assert.ok(await two.users.findUser('u'));
  await two.users.deleteUser('u');
  assert.equal(await one.users.findUser('u'), undefined);
  one.close();
  two.close();
});
