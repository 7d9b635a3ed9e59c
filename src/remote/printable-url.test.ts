import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printableUrl } from './printable-url.ts';

const ROWS: readonly [string, string][] = [
  ['https://UPPER/v2/x/manifests/latest', 'https://UPPER/v2/x/manifests/latest'],
  ['https://u:p@h.example/v2/', 'https://h.example/v2/'],
  ['https://m.example/v2/a/blobs/x?ns=docker.io', 'https://m.example/v2/a/blobs/x?ns=docker.io'],
  [
    'https://t/token?scope=repository%3Aa%3Apull&service=s',
    'https://t/token?scope=repository%3Aa%3Apull&service=s',
  ],
  ['https://cdn/b?X-Amz-Signature=abc&ns=x', 'https://cdn/b?X-Amz-Signature=REDACTED&ns=x'],
  ['https://r/upload?_state=s3cret', 'https://r/upload?_state=REDACTED'],
  ['https://r/a#fragment', 'https://r/a'],
];
for (const [url, shown] of ROWS) {
  test(`17.12 ${url} is shown as ${shown}`, () => {
    assert.equal(printableUrl(url), shown);
  });
}
