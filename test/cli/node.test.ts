import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runDray } from '../support/run-dray.ts';

/* What dray node and dray up --node say when they are misunderstood; nothing is made in that case. */

const directory = mkdtempSync(join(tmpdir(), 'drayage-node-cli-'));
test.after(() => rmSync(directory, { recursive: true, force: true }));
const absent = join(directory, 'absent');
writeFileSync(join(directory, 'broken'), 'apiVersion: v1\nkind: Config\n');

const WRONG: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  ['no cluster is named', ['node'], 2, /say one of --kubeconfig FILE, --join DIRECTORY, --standalone/],
  ['two are named', ['node', '--standalone', '--join', absent], 2, /belongs to one cluster or to none/],
  [
    'a context without a kubeconfig',
    ['node', '--standalone', '--context', 'x'],
    2,
    /--context goes with --kubeconfig/,
  ],
  [
    'a system that is not there',
    ['node', '--join', absent],
    1,
    /Cannot join ".*absent": no dray up has run there, or it is not yours/,
  ],
  [
    'a kubeconfig that is none',
    ['node', '--kubeconfig', join(directory, 'broken')],
    1,
    /Cannot use kubeconfig ".*broken": it has no current context/,
  ],
  ['a name that cannot be', ['node', '--standalone', '--node-name', 'A B'], 2, /"A B" is no name of a node/],
  [
    'another system',
    ['node', '--standalone', '--platform', 'windows/amd64'],
    2,
    /containers of this machine are linux/,
  ],
  [
    'a limit that is none',
    ['node', '--standalone', '--max-pods', 'many'],
    1,
    /invalid argument "many" for "--max-pods" flag/,
  ],
  ['too many nodes', ['up', '--nodes', '1000'], 2, /--nodes 1000: a system has from 1 to 50 nodes/],
  ['a node twice', ['up', '--node', 'a', '--node', 'a:linux/arm64'], 2, /two nodes are called "a"/],
  ['a platform that is none', ['up', '--node', 'a:linux/a/b/c'], 2, /Cannot read platform "linux\/a\/b\/c"/],
];

for (const [name, args, code, expected] of WRONG) {
  test(`${args[0]} ends at once: ${name}`, async () => {
    const root = join(directory, 'root');
    const outcome = await runDray([...args, '--root', root]);
    assert.match(outcome.stderr, expected);
    assert.equal(outcome.code, code);
    assert.equal(existsSync(absent), false);
  });
}
