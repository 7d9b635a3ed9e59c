import assert from 'node:assert/strict';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { ManualClock } from '../../base/manual-clock.ts';
import { MIGRATIONS } from './_schema.ts';
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

test('secrets that were exchanged before a new version came stay good for their time', async (t) => {
  const path = join(await directory(t), 'registry.db');
  const old = new DatabaseSync(path);
  for (const migration of MIGRATIONS.slice(0, 5)) old.exec(migration);
  old.exec(`PRAGMA user_version=5;
    INSERT INTO project (name, public, created_at) VALUES ('p', 0, 1);
    INSERT INTO robot (name, project, role, secret_hash, previous_hash, previous_until, created_at, rotated_at)
      VALUES ('robot.p.a', 'p', 'guest', 'new', 'old', 9, 1, 2), ('robot.p.b', 'p', 'guest', 'only', NULL, NULL, 1, 1);`);
  old.close();
  const metadata = openSqliteMetadata(path, new ManualClock());
  const robots = await metadata.robots.listRobots('p');
  assert.deepEqual(
    robots.map(({ secretHash, past }) => ({ secretHash, past })),
    [
      { secretHash: 'new', past: [{ hash: 'old', until: 9 }] },
      { secretHash: 'only', past: [] },
    ],
  );
  metadata.close();
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
