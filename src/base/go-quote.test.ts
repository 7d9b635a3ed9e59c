import assert from 'node:assert/strict';
import { test } from 'node:test';
import { goQuote } from './go-quote.ts';

const ROWS: readonly (readonly [string, string, string])[] = [
  ['plain text', 'busybox:1.36', '"busybox:1.36"'],
  ['quotes and backslashes', 'a"b\\c', '"a\\"b\\\\c"'],
  ['line ends and tabs', 'a\n\t\r', '"a\\n\\t\\r"'],
  ['control characters', '\x00\x1b\x7f', '"\\x00\\x1b\\x7f"'],
  ['bell, backspace, form feed, vertical tab', '\x07\b\f\v', '"\\a\\b\\f\\v"'],
  ['letters of any script', 'größe 镜像', '"größe 镜像"'],
  ['invisible characters', '\u200b\u00a0\u2028', '"\\u200b\\u00a0\\u2028"'],
  ['beyond the basic plane', '😀\u{e0001}', '"😀\\U000e0001"'],
];

for (const [name, text, quoted] of ROWS) {
  test(`Go quoting of ${name}`, () => assert.equal(goQuote(text), quoted));
}
