import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileCel } from './cel-program.ts';
import { fromCel, toCel } from './cel-values.ts';

const object = {
  metadata: { labels: { a: '1' } },
  spec: { replicas: 3, list: [3, 1, 2], memory: '1Gi', half: 0.5 },
};

function run(source: string, variables: Record<string, unknown> = { object: toCel(object) }): unknown {
  return fromCel(compileCel(source, Object.keys(variables)).run(variables));
}

const outcomes: readonly (readonly [string, unknown])[] = [
  ['object.spec.replicas <= 5', true],
  ['object.spec.half < 1', true],
  ['has(object.spec.replicas) && !has(object.spec.none)', true],
  ['object.?spec.?none.orValue(7)', 7],
  ['object.?spec.optMap(s, s.replicas).orValue(0)', 3],
  ['object.metadata.labels.all(k, k == "a")', true],
  ['object.metadata.labels.all(k, v, v == "1")', true],
  ['[1, 2].transformList(i, v, i + v)', [1, 3]],
  ['{"a": 1}.transformMap(k, v, v + 1)', { a: 2 }],
  ['object.spec.list.isSorted()', false],
  ['object.spec.list.sum() == 6 && object.spec.list.max() == 3 && [].sum() == 0', true],
  ['["b", "a"].indexOf("a") + ["a", "a"].lastIndexOf("a")', 2],
  ['sets.contains([1, 2], [1]) && sets.equivalent([1, 1], [1]) && !sets.intersects([1], [2])', true],
  ['quantity(object.spec.memory).isGreaterThan(quantity("500Mi"))', true],
  ['quantity("1") == quantity("1000m") && quantity("1500m").isInteger() == false', true],
  ['quantity("1k").add(quantity("2k")).asInteger()', 3000],
  ['ip("10.0.0.1").family() == 4 && ip("::1").isLoopback() && !ip.isCanonical("2001:DB8::1")', true],
  ['isIP("1.2.3") || isCIDR("10.0.0.0/33")', false],
  ['cidr("10.0.0.0/8").containsCIDR("10.1.0.0/16") && cidr("10.0.0.0/8").containsIP("10.1.2.3")', true],
  ['string(cidr("2001:db8::1/32").masked())', '2001:db8::/32'],
  ['url("https://a.example:8443/x?y=1").getHost() + url("/p").getEscapedPath()', 'a.example:8443/p'],
  ['isURL("not a url")', false],
  ['"%s is %d, %.2f and %x: %s".format(["x", 5, 1.5, 255, [1, "a"]])', 'x is 5, 1.50 and ff: [1, a]'],
  ['"abc 123".find("[0-9]+") + "1,2,3".findAll("[0-9]", 2)[1]', '1232'],
  ['"aXbX".replace("X", "y", 1) + "abc".charAt(1) + "abc".reverse()', 'aybXbcba'],
  ['format.dns1123Label().validate("A_").value().size() > 0', true],
  ['format.named("nothing").hasValue()', false],
  ['semver("1.2.3").isLessThan(semver("1.10.0-rc.1")) && isSemver("1.0") == false', true],
  ['semver("v1.2", true).minor()', 2],
  ['int(timestamp("2020-01-01T00:00:00Z"))', 1_577_836_800],
  ['string(duration("1h"))', '3600s'],
  ['Object{spec: Object.spec{replicas: 3, ?x: optional.none()}}', { spec: { replicas: 3 } }],
  [
    '[JSONPatch{op: "add", path: "/a", value: Object.spec{x: 1}}]',
    [{ op: 'add', path: '/a', value: { x: 1 } }],
  ],
  ['true || object.none', true],
  ['[1, 2].exists(x, object.none) || true', true],
];

test('expressions give what Kubernetes gives', () => {
  for (const [source, expected] of outcomes) assert.deepEqual(run(source), expected, source);
});

const failures: readonly (readonly [string, string])[] = [
  ['object.none', 'no such key: none'],
  ['1 / 0', 'division by zero'],
  ['quantity("x")', 'quantities must match'],
  ['ip("x")', 'IP Address "x" parse error during conversion from string'],
  [
    'foo.x',
    "compilation failed: ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')\n | foo.x\n | ^",
  ],
  [
    '1 + "a"',
    "compilation failed: ERROR: <input>:1:3: found no matching overload for '_+_' applied to '(int, string)'\n | 1 + \"a\"\n | ..^",
  ],
  [
    'true &&\n nothing(1)',
    "compilation failed: ERROR: <input>:2:9: undeclared reference to 'nothing' (in container '')\n |  nothing(1)\n | ........^",
  ],
  ['size(1)', "ERROR: <input>:1:5: found no matching overload for 'size' applied to '(int)'"],
  ['1 +', "Syntax error: mismatched input '<EOF>' expecting {'[', '{', '('"],
  ['object.metadata.constructor', 'no such key: constructor'],
];

test('what cannot be compiled or run says so in the words of cel-go', () => {
  for (const [source, expected] of failures) {
    assert.throws(
      () => run(source),
      (error: Error) => error.message.includes(expected) || assert.fail(`${source}: ${error.message}`),
    );
  }
});

test('an expression that would run for too long is stopped, even where errors are swallowed', () => {
  const wide = { object: toCel({ list: Array.from({ length: 1000 }, (_, index) => index) }) };
  const nested = 'object.list.all(a, object.list.all(b, object.list.all(c, a + b + c >= 0)))';
  assert.throws(() => run(nested, wide), { code: 'COST', message: /actual cost limit exceeded/ });
  assert.throws(() => run(nested.replaceAll('.all(', '.exists(').replace('>=', '<'), wide), { code: 'COST' });
  let doubling = 'x40.size()';
  for (let step = 40; step >= 1; step--) {
    doubling = `cel.bind(x${step}, ${step === 1 ? '"aaaaaaaaaaaaaaaa"' : `x${step - 1} + x${step - 1}`}, ${doubling})`;
  }
  assert.throws(() => run(doubling), { code: 'COST' });
});

test('a budget is shared by the expressions that are given it', () => {
  const budget = { left: 60 };
  const program = compileCel('[1, 2, 3, 4, 5].all(x, x > 0)', []);
  program.run({}, budget);
  assert.ok(budget.left < 60);
  assert.throws(
    () => {
      for (let count = 0; count < 10; count++) program.run({}, budget);
    },
    { code: 'COST' },
  );
});

test('JSON comes back as it went in', () => {
  // Text has no zero below zero.
  const printed = (json: unknown): unknown => JSON.parse(JSON.stringify(json));
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (json) => {
      assert.deepEqual(printed(fromCel(toCel(json))), printed(json));
    }),
  );
});
