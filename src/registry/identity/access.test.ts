import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatScopes, grants, parseScopes } from './access.ts';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 1_000);

test('what is printed is read back', () => {
  const access = fc
    .record({
      type: fc.constantFrom('repository', 'registry', 'repository(plugin)'),
      name: fc.stringMatching(/^[a-z0-9]{1,6}(:5000)?(\/[a-z]{1,5}){0,2}$/),
      actions: fc.uniqueArray(fc.constantFrom('pull', 'push', 'delete', '*'), { minLength: 1 }),
    })
    .map((made) => ({ ...made }));
  const list = fc.uniqueArray(access, { selector: ({ type, name }) => `${type} ${name}`, maxLength: 10 });
  fc.assert(
    fc.property(list, (accesses) => {
      assert.deepEqual(parseScopes([formatScopes(accesses)]), accesses);
    }),
    { numRuns: RUNS },
  );
});

test('scopes for one repository are merged, and nonsense is left out', () => {
  const scopes = [
    'repository:a:pull repository:a:pull,push',
    'nonsense',
    '',
    'repository:b',
    'repository:a:delete',
  ];
  assert.deepEqual(parseScopes(scopes), [
    { type: 'repository', name: 'a', actions: ['pull', 'push', 'delete'] },
  ]);
});

test('a star holds every action, and a name holds no other', () => {
  const granted = [{ type: 'repository', name: 'a', actions: ['*'] }];
  assert.ok(grants(granted, 'repository', 'a', 'delete'));
  assert.ok(!grants(granted, 'repository', 'a/b', 'pull'));
  assert.ok(!grants(granted, 'registry', 'a', 'pull'));
});
