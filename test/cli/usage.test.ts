import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { runDray } from '../support/run-dray.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

test('--version answers with the version of the package', async () => {
  assert.deepEqual(await runDray(['--version']), { code: 0, stdout: `dray ${version}\n`, stderr: '' });
});

test('no command shows the help and is bad usage; --help is fine', async () => {
  const bare = await runDray([]);
  assert.equal(bare.code, 2);
  assert.match(bare.stdout, /Usage: dray COMMAND/);
  assert.equal((await runDray(['--help'])).code, 0);
});

test('a mistyped command is answered with the one that was meant', async () => {
  const outcome = await runDray(['explian']);
  assert.equal(outcome.code, 2);
  assert.equal(outcome.stdout, '');
  assert.match(outcome.stderr, /^dray: unknown command "explian": did you mean "explain"\?/);
});

test('a mistyped option is bad usage, said in one line', async () => {
  const outcome = await runDray(['up', '--api-prot', '1']);
  assert.equal(outcome.code, 2);
  assert.match(outcome.stderr, /^dray: unknown option "--api-prot": did you mean "--api-port"\?\n$/);
});

test('a port that is none is refused before anything starts', async () => {
  const outcome = await runDray(['up', '--api-port', '70000']);
  assert.equal(outcome.code, 2);
  assert.match(outcome.stderr, /a port is a number from 0 to 65535/);
});

test('--exit without --tour is refused', async () => {
  const outcome = await runDray(['up', '--exit']);
  assert.equal(outcome.code, 2);
  assert.match(outcome.stderr, /--exit goes with --tour/);
});

const MISTAKES: readonly (readonly [string, string])[] = [
  ['registry project lst', 'dray: unknown command "lst": did you mean "list"?\n'],
  ['registry nope', 'dray: unknown command "nope"\n'],
  ['index create', 'dray: missing required argument "name"\n'],
  [
    'credential-provider test',
    'dray: required option "--image-credential-provider-config <path>" not specified\n',
  ],
  [
    'pull BAD//ref',
    'dray: "BAD//ref" is no image name: invalid reference format: nothing stands between the slashes; perhaps "BAD/ref" is meant\n',
  ],
];
for (const [line, expected] of MISTAKES) {
  test(`dray ${line} is bad usage, said in one line`, async () => {
    assert.deepEqual(await runDray(line.split(' ')), { code: 2, stdout: '', stderr: expected });
  });
}

test('a command of several parts shows its help when none is named, and is bad usage', async () => {
  const outcome = await runDray(['index']);
  assert.equal(outcome.code, 2);
  assert.match(outcome.stderr, /^Usage: dray index .*create/s);
  assert.doesNotMatch(outcome.stderr, /outputHelp/);
});
