import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  describeMismatch,
  globMatches,
  indexKey,
  mismatch,
  parsePattern,
  patternMatches,
} from './registry-pattern.ts';

const runs = { numRuns: Number(process.env['FUZZ_RUNS'] ?? 1000) };

const keys: [entry: string, key: string | undefined][] = [
  ['https://index.docker.io/v1/', 'index.docker.io'],
  ['https://index.docker.io/v1', 'index.docker.io/v1'],
  ['https://quay.io/v1/', 'quay.io'],
  ['quay.io/v2/team/app', 'quay.io/team/app'],
  ['http://r.io:5000', 'r.io:5000'],
  ['r.io/', 'r.io'],
  ['r.io/team', 'r.io/team'],
  ['r.io/team/', 'r.io/team/'],
  ['*.r.io', '*.r.io'],
  ['user:pass@r.io/x', 'r.io/x'],
  ['r.io/a%20b', 'r.io/a b'],
  ['r.io?q=1', 'r.io'],
  ['r.io#f', 'r.io'],
  ['[fd00::1]:5000', '[fd00::1]:5000'],
  ['', ''],
  ['r.io:http', undefined],
  ['r.io:80:80', undefined],
  ['r.io/%zz', undefined],
  ['r .io', undefined],
  ['[r.io', undefined],
  ['r[a].io', undefined],
  ['r%2eio', undefined],
  ['r\\io', undefined],
  ['r.io/\u0001', undefined],
  ['ftp://r.io', 'ftp://r.io'],
];
for (const [entry, key] of keys) {
  test(`6.10 ${key === undefined ? 'no entry is made of' : 'the index key is found for'} ${JSON.stringify(entry)}`, () => {
    assert.equal(indexKey(entry), key);
  });
}

const matches: [pattern: string, image: string, why: string | undefined][] = [
  ['r.io', 'r.io/team/app', undefined],
  ['r.io/team', 'r.io/team/app', undefined],
  ['bar.io/pong', 'bar.io/pongz', undefined],
  ['r.io/team', 'r.io/other/app', 'image path "/other/app" does not begin with "/team"'],
  ['r.io:443', 'r.io/app', 'port 443 is not (none)'],
  ['r.io', 'r.io:5000/app', 'port (none) is not 5000'],
  ['r.io:*', 'r.io:5000/app', 'not a URL'],
  ['*.r.io', 'a.r.io/app', undefined],
  ['*.*.io', 'a.r.io/app', undefined],
  ['*.r.io', 'r.io/app', "host has 3 labels, the image's has 2"],
  ['*.r.io', 'a.b.r.io/app', "host has 3 labels, the image's has 4"],
  ['*.docker.io', 'docker.io/library/busybox', "host has 3 labels, the image's has 2"],
  ['*kubernetes.io', 'kubernetes.io/app', undefined],
  ['*kubernetes.io', 'a.kubernetes.io/app', "host has 2 labels, the image's has 3"],
  ['pre*fix.io', 'pre-x-fix.io/app', undefined],
  ['R.io', 'r.io/app', 'host label "R" does not match "r"'],
  ['r.io/*', 'r.io/team', 'image path "/team" does not begin with "/*"'],
  ['r.io/TEAM', 'r.io/team', 'image path "/team" does not begin with "/TEAM"'],
  ['[fd00::1]:5000', '[fd00::1]:5000/app', undefined],
];
for (const [pattern, image, why] of matches) {
  test(`6.12 ${pattern} ${why === undefined ? 'matches' : 'does not match'} ${image}`, () => {
    const left = parsePattern(pattern);
    const right = parsePattern(image);
    assert.ok(right !== undefined);
    if (left === undefined) assert.equal(why, 'not a URL');
    else {
      const found = mismatch(left, right);
      assert.equal(found === undefined ? undefined : describeMismatch(found), why);
    }
    assert.equal(patternMatches(pattern, image), why === undefined);
  });
}

test('6.13 a wildcard label neither vanishes nor grows into two', () => {
  assert.equal(patternMatches('*.docker.io', 'docker.io/library/busybox'), false);
  assert.equal(patternMatches('*kubernetes.io', 'kubernetes.io/pause'), true);
  assert.equal(patternMatches('*kubernetes.io', 'registry.kubernetes.io/pause'), false);
});

test('6.12 parts are compared in the order port, number of labels, path, labels', () => {
  const image = parsePattern('a.b.io:1/x');
  assert.ok(image !== undefined);
  const part = (pattern: string) => {
    const parsed = parsePattern(pattern);
    return parsed === undefined ? undefined : mismatch(parsed, image)?.part;
  };
  assert.equal(part('z.io:2/y'), 'port');
  assert.equal(part('z.io:1/y'), 'label-count');
  assert.equal(part('z.b.io:1/y'), 'path');
  assert.equal(part('z.b.io:1/x'), 'label');
});

test('6.12 a wildcard never spans two labels', () => {
  const label = fc.stringMatching(/^[a-z0-9-]{1,6}$/);
  fc.assert(
    fc.property(
      fc.array(label, { minLength: 1, maxLength: 4 }),
      fc.array(label, { minLength: 1, maxLength: 4 }),
      (a, b) => {
        const pattern = a.map(() => '*').join('.');
        assert.equal(patternMatches(pattern, `${b.join('.')}/app`), a.length === b.length);
      },
    ),
    runs,
  );
});

test('the glob agrees with the regular expression of the same meaning', () => {
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 });
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '-'), maxLength: 10 });
  fc.assert(
    fc.property(pattern, text, (glob, name) => {
      const expected = new RegExp(`^${glob.replaceAll(/\*+/g, '.*').replaceAll('?', '.')}$`, 's').test(name);
      assert.equal(globMatches(glob, name), expected);
    }),
    runs,
  );
});

test('character classes of globs follow filepath.Match; broken ones match nothing', () => {
  assert.ok(globMatches('[a-c]x', 'bx'));
  assert.ok(!globMatches('[^a-c]x', 'bx'));
  assert.ok(globMatches('[^a-c]x', 'zx'));
  for (const broken of ['[', '[a', '[]a]', '[-]', '[a-]']) assert.ok(!globMatches(broken, 'a'), broken);
});

test('a glob made to backtrack is answered at once', () => {
  assert.equal(globMatches(`${'a*'.repeat(60)}b`, 'a'.repeat(5000)), false);
});

test('6.12 what matches without wildcard has the same host', () => {
  const host = fc.stringMatching(/^[a-b](?:\.[a-b]){0,2}(?::[0-1]?)?$/);
  fc.assert(
    fc.property(host, host, (a, b) => {
      const [left, right] = [parsePattern(a), parsePattern(`${b}/app`)];
      assert.ok(left !== undefined && right !== undefined);
      assert.equal(mismatch(left, right) === undefined, left.host === right.host);
    }),
    runs,
  );
});

test('any two strings can be compared', () => {
  const nasty = fc.string({
    unit: fc.constantFrom(
      'a',
      '.',
      '*',
      '/',
      ':',
      '[',
      ']',
      '%',
      '4',
      '1',
      '@',
      '?',
      '#',
      '\\',
      '\n',
      'é',
      '🚢',
    ),
  });
  fc.assert(
    fc.property(nasty, nasty, (a, b) => {
      assert.equal(typeof patternMatches(a, b), 'boolean');
      const key = indexKey(a);
      assert.ok(key === undefined || typeof key === 'string');
    }),
    runs,
  );
});
