import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSchemeNamePort, type SchemeNamePort } from './scheme-name-port.ts';

const rows: readonly (readonly [text: string, meant: SchemeNamePort | undefined])[] = [
  ['web', { scheme: 'http', name: 'web', port: '' }],
  ['web:8080', { scheme: 'http', name: 'web', port: '8080' }],
  ['web:metrics', { scheme: 'http', name: 'web', port: 'metrics' }],
  ['https:web:8443', { scheme: 'https', name: 'web', port: '8443' }],
  ['http:web:', { scheme: 'http', name: 'web', port: '' }],
  [':web:80', { scheme: 'http', name: 'web', port: '80' }],
  ['ftp:web:21', undefined],
  ['https:web:1:2', undefined],
  [':80', undefined],
  ['', undefined],
];

for (const [text, meant] of rows) {
  test(`"${text}" ${meant === undefined ? 'names nothing' : `is ${meant.scheme}, ${meant.name}, port "${meant.port}"`}`, () => {
    assert.deepEqual(parseSchemeNamePort(text), meant);
  });
}
