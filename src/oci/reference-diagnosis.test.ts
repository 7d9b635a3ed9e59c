import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { diagnoseReference, renderDiagnosis } from './reference-diagnosis.ts';
import { sortReferences } from './reference-order.ts';
import { parseNormalizedReference } from './reference.ts';

const FUZZ = { numRuns: Number(process.env.FUZZ_RUNS ?? 1000) };
const HEX = '0123456789abcdef'.repeat(4);

/** The text, with the offending characters between bars, and the suggestion. */
const TABLE: [marked: string, problem: string, suggestion?: string][] = [
  ['||', 'empty'],
  ['app:1| |', 'white-space', 'app:1'],
  ['my| |app', 'white-space'],
  ['r.example/app:|${TAG}|', 'placeholder'],
  ['|{{ .Values.image }}|', 'placeholder'],
  ['|https://|r.example/app:1', 'scheme', 'r.example/app:1'],
  ['|docker://|busybox', 'scheme', 'busybox'],
  [`|${HEX}|`, 'image-id'],
  ['|M|yApp:1', 'upper-case', 'myapp:1'],
  ['127.0.0.1:5503/|T|est/App:1', 'upper-case', '127.0.0.1:5503/test/app:1'],
  ['r.example/|/|app', 'empty-part', 'r.example/app'],
  ['r.example/team/||', 'empty-part'],
  ['a|..|b', 'separator'],
  ['a|___|b', 'separator'],
  ['|-|app', 'separator'],
  ['app|-|:1', 'separator'],
  ['ap|ä|', 'character'],
  ['re_g.example:|5x|/app', 'port'],
  ['r.example:||/app', 'port'],
  ['r.example|_|:5000/app', 'character'],
  ['|-|r.example/app', 'separator'],
  ['app:||', 'empty-tag', 'app'],
  ['x:y|:z|', 'second-tag'],
  ['app:|-|rc1', 'tag-character'],
  ['app:1|+|2', 'tag-character'],
  [`app:${'t'.repeat(128)}|t|`, 'tag-too-long'],
  ['app@||', 'empty-digest', 'app'],
  ['app@|md5|:00', 'digest'],
  ['127.0.0.1:5503/test/app@sha256:12||', 'digest'],
  [`app@sha256:${HEX.slice(1)}|F|`, 'digest'],
  [`app@sha256:${HEX}|00|`, 'digest'],
  [`${'b'.repeat(247)}|bb|`, 'too-long'],
];

for (const [marked, problem, suggestion] of TABLE) {
  test(`1.9 1.10 points at ${problem} in ${JSON.stringify(marked)}`, () => {
    const [before = '', offending = '', after = ''] = marked.split('|');
    const found = diagnoseReference(before + offending + after);
    assert.deepEqual(
      { problem: found?.problem, index: found?.index, length: found?.length, suggestion: found?.suggestion },
      { problem, index: before.length, length: offending.length, suggestion },
    );
  });
}

test('a diagnosis is drawn with carets under the text', () => {
  const text = 'r.example/My\tApp';
  const found = diagnoseReference('r.example/MyApp:1');
  assert.ok(found);
  assert.equal(
    renderDiagnosis('r.example/MyApp:1', found),
    'r.example/MyApp:1\n          ^ a repository is written in lower case',
  );
  const tab = diagnoseReference(text);
  assert.ok(tab);
  assert.equal(renderDiagnosis(text, tab), 'r.example/My·App\n            ^ white space inside the name');
});

const PIECES = [
  'a',
  'B',
  '.',
  '_',
  '-',
  ':',
  '/',
  '@',
  '5000',
  'localhost',
  'docker.io',
  'sha256:',
  HEX,
  ' ',
  'ä',
  '[',
  ']',
  '::1',
  'http://',
  '${X}',
];

test('a diagnosis is there exactly when the name is refused, points inside the text and suggests what can be read', () => {
  const texts = fc.oneof(
    fc.array(fc.constantFrom(...PIECES), { maxLength: 8 }).map((pieces) => pieces.join('')),
    fc.string({ unit: 'binary', maxLength: 20 }),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const found = diagnoseReference(text);
      if (found === undefined) {
        parseNormalizedReference(text);
        return;
      }
      assert.throws(() => parseNormalizedReference(text));
      assert.ok(found.index >= 0 && found.length >= 0 && found.index + found.length <= text.length, text);
      if (found.suggestion !== undefined) parseNormalizedReference(found.suggestion);
      renderDiagnosis(text, found);
    }),
    FUZZ,
  );
});

test('1.14 names sort by what they tell: tag and digest, tag, digest, name, digest alone, unreadable', () => {
  const digest = `sha256:${HEX}`;
  assert.deepEqual(
    sortReferences([
      'Bad',
      digest,
      'b',
      'a',
      `x@${digest}`,
      'z:1',
      'y:2',
      `w:1@${digest}`,
      'f'.repeat(64),
      'A B',
    ]),
    [
      `docker.io/library/w:1@${digest}`,
      'docker.io/library/y:2',
      'docker.io/library/z:1',
      `docker.io/library/x@${digest}`,
      'docker.io/library/a',
      'docker.io/library/b',
      digest,
      `sha256:${'f'.repeat(64)}`,
      'A B',
      'Bad',
    ],
  );
});
