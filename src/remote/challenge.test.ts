import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseChallenges } from './challenge.ts';

const RUNS = { numRuns: Number(process.env['FUZZ_RUNS'] ?? 1_000) };

const ROWS: readonly {
  name: string;
  header: string | string[];
  parsed: [string, Record<string, string>][];
}[] = [
  {
    name: 'Bearer with quoted values that hold commas',
    header: 'Bearer realm="https://auth.example/token",service="reg",scope="repository:a/b:pull,push"',
    parsed: [
      ['bearer', { realm: 'https://auth.example/token', service: 'reg', scope: 'repository:a/b:pull,push' }],
    ],
  },
  {
    name: 'values without quotes',
    header: 'Bearer realm=https://auth.example/token,service=reg',
    parsed: [['bearer', { realm: 'https://auth.example/token', service: 'reg' }]],
  },
  {
    name: 'escaped quotes inside a value',
    header: 'Basic realm="say \\"hello\\", twice"',
    parsed: [['basic', { realm: 'say "hello", twice' }]],
  },
  {
    name: 'several challenges in one header, Bearer first',
    header: 'Basic realm="b", Negotiate, Bearer realm="t",service="s"',
    parsed: [
      ['bearer', { realm: 't', service: 's' }],
      ['basic', { realm: 'b' }],
      ['negotiate', {}],
    ],
  },
  {
    name: 'several headers',
    header: ['Negotiate YII=', 'Basic realm="x"'],
    parsed: [
      ['basic', { realm: 'x' }],
      ['negotiate', {}],
    ],
  },
  {
    name: 'spaces around everything, and names in any case',
    header: '  BEARER  Realm = "t" , SERVICE = s ',
    parsed: [['bearer', { realm: 't', service: 's' }]],
  },
  { name: 'a scheme alone', header: 'Basic', parsed: [['basic', {}]] },
  { name: 'a value without end', header: 'Bearer realm="t', parsed: [['bearer', { realm: 't' }]] },
  {
    name: 'the first of equal parameters',
    header: 'Bearer realm="a",realm="b"',
    parsed: [['bearer', { realm: 'a' }]],
  },
  { name: 'nothing', header: '', parsed: [] },
];
for (const { name, header, parsed } of ROWS) {
  test(`a challenge is read: ${name}`, () => {
    assert.deepEqual(
      parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]),
      parsed,
    );
  });
}

test('no header at all is no challenge', () => {
  assert.deepEqual(parseChallenges(undefined), []);
});

test('any header is read without failing, in bounded time', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (header) => {
      for (const { scheme } of parseChallenges(header)) assert.equal(scheme, scheme.toLowerCase());
    }),
    RUNS,
  );
});

test('what is quoted comes back as it was', () => {
  const text = fc.string({ maxLength: 40 });
  fc.assert(
    fc.property(text, text, (realm, service) => {
      const quote = (value: string): string => `"${value.replace(/[\\"]/g, '\\$&')}"`;
      const [challenge] = parseChallenges(`Bearer realm=${quote(realm)}, service=${quote(service)}`);
      assert.equal(challenge?.parameters.get('realm'), realm);
      assert.equal(challenge?.parameters.get('service'), service);
    }),
    RUNS,
  );
});
