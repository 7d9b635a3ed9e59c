import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';

import { unifiedDiff } from './unified-diff.ts';

test('a change is shown with three lines around it', () => {
  const lines = ['1', '2', '3', '4', '5', '6', '7', '8', '9'];
  const changed = lines.with(4, 'five');
  assert.equal(
    unifiedDiff(lines.join('\n'), changed.join('\n')),
    '@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n',
  );
});

test('equal texts have no difference', () => {
  assert.equal(unifiedDiff('a\nb', 'a\nb'), '');
});

test('changes that are far apart are separate', () => {
  const lines = Array.from({ length: 30 }, (_line, index) => String(index));
  const changed = lines.with(2, 'x').with(25, 'y').join('\n');
  assert.equal(unifiedDiff(lines.join('\n'), changed).split('@@ -').length - 1, 2);
});

/** Puts a difference into effect, as patch(1) would. */
function applyDiff(before: readonly string[], diff: string): string[] {
  const result: string[] = [];
  let at = 0;
  for (const line of diff.split('\n').slice(0, -1)) {
    const header = /^@@ -(\d+)(?:,(\d+))? /.exec(line);
    if (header !== null) {
      const first = Number(header[1]) - (header[2] === '0' ? 0 : 1);
      result.push(...before.slice(at, first));
      at = first;
    } else if (line.startsWith('+')) result.push(line.slice(1));
    else {
      assert.equal(before[at], line.slice(1));
      if (line.startsWith(' ')) result.push(line.slice(1));
      at += 1;
    }
  }
  return [...result, ...before.slice(at)];
}

test('a difference put into effect gives the other text', () => {
  const lines = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(lines, lines, (before, after) => {
      assert.deepEqual(applyDiff(before, unifiedDiff(before.join('\n'), after.join('\n'))), after);
    }),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 1000) },
  );
});
