import assert from 'node:assert/strict';
import { test } from 'node:test';
import { execErrorMessage, startErrorMessage } from './start-messages.ts';

const PREFIX =
  'failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: ';

const starts: [name: string, failure: string, said: string][] = [
  [
    'runc before 1.2',
    'unable to start container process: exec: "/x": stat /x: no such file or directory',
    'unable to start container process: error during container init: exec: "/x": stat /x: no such file or directory',
  ],
  [
    'runc from 1.2 on',
    'unable to start container process: error during container init: exec: "x": executable file not found in $PATH',
    'unable to start container process: error during container init: exec: "x": executable file not found in $PATH',
  ],
  [
    'a mount that fails',
    'unable to start container process: error during container init: error mounting "/a" to rootfs at "/b": no such file or directory',
    'unable to start container process: error during container init: error mounting "/a" to rootfs at "/b": no such file or directory',
  ],
  ['another program', 'crun ended without a message', 'crun ended without a message'],
];
for (const [name, failure, said] of starts) {
  test(`a start that fails is told in the words of containerd: ${name}`, () => {
    assert.equal(startErrorMessage(failure), PREFIX + said);
  });
}

test('a command that cannot be started is told in the words of containerd, as recorded', () => {
  const said =
    'failed to exec in container: failed to start exec "e1": OCI runtime exec failed: exec failed: ' +
    'unable to start container process: exec: "/nosuch": stat /nosuch: no such file or directory';
  for (const failure of [
    'exec failed: unable to start container process: exec: "/nosuch": stat /nosuch: no such file or directory',
    'unable to start container process: error during container init: exec: "/nosuch": stat /nosuch: no such file or directory',
  ]) {
    assert.equal(execErrorMessage('e1', failure), said);
  }
});
