import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalRequest, signAwsRequest } from './sigv4.ts';

test("the example of AWS's own documentation gets the signature printed there", () => {
  const headers = signAwsRequest(
    {
      method: 'GET',
      url: 'https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded; charset=utf-8' },
      body: '',
      service: 'iam',
      region: 'us-east-1',
    },
    {
      accessKeyId: 'AKIDEXAMPLE',
      secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
      source: 'documentation',
    },
    Date.parse('2015-08-30T12:36:00Z'),
  );
  assert.equal(
    headers['authorization'],
    'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7',
  );
});

test('names are sorted, values trimmed, and what a URL may leave bare is encoded', () => {
  const { text, names } = canonicalRequest(
    'GET',
    "https://h/a'b/c?z=1&a=~x y",
    { B: '  two  words ', A: '1' },
    '',
  );
  assert.equal(names, 'a;b');
  assert.deepEqual(text.split('\n').slice(0, 6), [
    'GET',
    '/a%27b/c',
    'a=~x%20y&z=1',
    'a:1',
    'b:two words',
    '',
  ]);
});
