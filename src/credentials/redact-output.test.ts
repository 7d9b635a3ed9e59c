import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redactOutput } from './redact-output.ts';

const cases: [text: string, shown: string][] = [
  ['got password=S3CRET, retry', 'got password=[redacted], retry'],
  ['{"Secret":"S3\\"CRET","Username":"u"}', '{"Secret":[redacted],"Username":"u"}'],
  ['Authorization: Bearer S3CRET-value', 'Authorization: [redacted]'],
  ['sent Bearer S3CRET-value to host', 'sent Bearer [redacted] to host'],
  ['token eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.S3CRET expired', 'token [redacted] expired'],
  ['GET https://u:S3CRET@r.io/v2/', 'GET https://[redacted]@r.io/v2/'],
  ['AWS_SECRET_ACCESS_KEY=S3CRET failed', 'AWS_SECRET_ACCESS_KEY=[redacted] failed'],
  ['access_token: S3CRET', 'access_token: [redacted]'],
  ["api-key='S3CRET x'", 'api-key=[redacted]'],
  ['no basic auth credentials', 'no basic auth credentials'],
  ['cannot reach 169.254.169.254: timeout', 'cannot reach 169.254.169.254: timeout'],
];
for (const [text, shown] of cases) {
  test(`of ${JSON.stringify(text)} everything but the secret is shown`, () => {
    const result = redactOutput(text);
    assert.ok(!result.includes('S3CRET'), result);
    assert.equal(result, shown);
  });
}

test('values that are known to be secret are taken out wherever they stand', () => {
  assert.equal(redactOutput('a S3CRET b S3CRETS', ['S3CRET', '']), 'a [redacted] b [redacted]S');
});

// A pattern that goes back over what it saw would take hours here.
test('a long hostile line is gone through to its end', () => {
  for (const unit of ['a', 'token', 'password="', 'eyJ-', 'Bearer ', '//a', '{"token":']) {
    const line = unit.repeat(Math.ceil(65_536 / unit.length));
    assert.equal(typeof redactOutput(line), 'string');
  }
});
