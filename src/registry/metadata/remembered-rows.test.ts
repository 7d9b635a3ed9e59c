import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SqliteDatabase } from './sqlite-database.ts';

const ROW = 'SELECT name FROM repository WHERE name = ?';
const INSERT = 'INSERT INTO repository (name, created_at) VALUES (?, 0)';

test('a remembered row is forgotten at once with a write of this process, and a turn later with one of another', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'drayage-rows-'));
  const path = join(directory, 'registry.db');
  const here = new SqliteDatabase(path);
  const there = new SqliteDatabase(path);
  t.after(() => {
    here.close();
    there.close();
    rmSync(directory, { recursive: true });
  });
  assert.equal(here.getAgain(ROW, 'a'), undefined);
  await here.write(() => here.run(INSERT, 'a'));
  assert.deepEqual({ ...here.getAgain(ROW, 'a') }, { name: 'a' });
  assert.equal(here.getAgain(ROW, 'b'), undefined);
  await there.write(() => there.run(INSERT, 'b'));
  await nextTurn();
  assert.deepEqual({ ...here.getAgain(ROW, 'b') }, { name: 'b' });
  await there.write(() => there.run('DELETE FROM repository WHERE name = ?', 'a'));
  await nextTurn();
  assert.equal(here.getAgain(ROW, 'a'), undefined);
});
