import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runDray } from '../support/run-dray.ts';
import { findTool } from '../support/tools.ts';

const DRAY = fileURLToPath(new URL('../../bin/dray.js', import.meta.url));

async function offered(...words: string[]): Promise<string[]> {
  const { code, stdout } = await runDray(['__complete', ...words]);
  assert.equal(code, 0);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('\t')[0] ?? '');
}

const CASES: readonly (readonly [string, string[], string[]])[] = [
  ['the beginning of a command', ['pu'], ['pull', 'push', 'pulls']],
  ['a part of a command', ['registry', 'project', 'cr'], ['create']],
  ['an option', ['pull', '--all'], ['--all-platforms']],
  ['an option of a part', ['registry', 'project', 'create', '--pub'], ['--public']],
  ['the value of an option is a name or a file', ['up', '--root', ''], []],
  ['an argument is a name or a file', ['pull', 're'], []],
  ['a command that is none', ['nope', ''], []],
];
for (const [what, words, expected] of CASES) {
  test(`completion of ${what}: ${expected.join(' ') || 'nothing'}`, async () => {
    assert.deepEqual(await offered(...words), expected);
  });
}

test('options and parts are offered with what they do', async () => {
  const { stdout } = await runDray(['__complete', 'registry', 'project', 'cr']);
  assert.equal(stdout, 'create\tAdds a project.\n');
});

for (const shell of ['bash', 'zsh', 'fish']) {
  test(`the script for ${shell} asks the program`, async () => {
    const { code, stdout } = await runDray(['completion', shell]);
    assert.equal(code, 0);
    assert.match(stdout, /dray __complete/);
  });
}

const bash = findTool('bash');
test(
  'bash completes by the script',
  { skip: bash === undefined ? 'needs bash, not installed on this machine' : false },
  async () => {
    const { stdout: script } = await runDray(['completion', 'bash']);
    const program = `dray() { ${JSON.stringify(process.execPath)} ${JSON.stringify(DRAY)} "$@"; }\n`;
    const ask = 'COMP_WORDS=(dray registry pro); COMP_CWORD=2; _dray; echo "${COMPREPLY[@]}"';
    const answer = execFileSync(bash ?? '', ['-c', `${program}${script}${ask}`], {
      encoding: 'utf8',
      cwd: dirname(DRAY),
    });
    assert.equal(answer, 'project\n');
  },
);
