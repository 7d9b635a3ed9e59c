import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ImageRunConfig } from './container-image.ts';
import { DEFAULT_PATH, processSpec } from './process-spec.ts';
import { parseSignal } from './stop-signal.ts';

const user = { uid: 0, gid: 0, supplementalGroups: [0], home: '/root' };
const nothing = { name: 'a', command: [], args: [], env: [], workingDir: '' };
const image: ImageRunConfig = {
  Entrypoint: ['/entry'],
  Cmd: ['one'],
  WorkingDir: '/app',
  Env: ['A=1', 'PATH=/bin'],
};

const commands: { name: string; command: string[]; args: string[]; expected: string[] }[] = [
  { name: 'nothing given', command: [], args: [], expected: ['/entry', 'one'] },
  { name: 'arguments replace the image’s', command: [], args: ['two'], expected: ['/entry', 'two'] },
  { name: 'a command drops the image’s arguments too', command: ['/mine'], args: [], expected: ['/mine'] },
  { name: 'both', command: ['/mine'], args: ['two'], expected: ['/mine', 'two'] },
];
for (const { name, command, args, expected } of commands) {
  test(`${name}: ${expected.join(' ')}`, () => {
    assert.deepEqual(processSpec({ ...nothing, command, args }, image, user, 'p').args, expected);
  });
}

test('an image without a command cannot run', () => {
  assert.throws(() => processSpec(nothing, {}, user, 'p'), { code: 'INVALID' });
});

test('the Pod’s variables win over the image’s, and PATH, HOME and HOSTNAME are always there', () => {
  const env = [{ key: 'A', value: '2' }];
  assert.deepEqual(processSpec({ ...nothing, env }, image, user, 'p').env, [
    'PATH=/bin',
    'HOSTNAME=p',
    'A=2',
    'HOME=/root',
  ]);
  const bare = processSpec({ ...nothing, command: ['x'] }, {}, user, 'p');
  assert.ok(bare.env.includes(`PATH=${DEFAULT_PATH}`));
  assert.equal(bare.cwd, '/');
});

const signals: [string, number][] = [
  ['SIGTERM', 15],
  ['TERM', 15],
  ['15', 15],
  ['sigusr1', 10],
  ['SIGRTMIN+3', 37],
  ['RTMAX-1', 63],
];
for (const [text, number] of signals) {
  test(`stop signal ${text} is ${number}`, () => assert.equal(parseSignal(text), number));
}
for (const text of ['', '0', '65', 'NOPE', 'SIGRTMIN+40']) {
  test(`"${text}" is no stop signal`, () => {
    assert.throws(() => parseSignal(text), { code: 'INVALID' });
  });
}
