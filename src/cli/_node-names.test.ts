import assert from 'node:assert/strict';
import { test } from 'node:test';
import { moreNodesOf, nodeCountOf, nodePlatformOf } from './_node-names.ts';

test('--nodes counts the machine’s own node, --node names further ones with their platforms', () => {
  assert.deepEqual(moreNodesOf(1, [], 'vm'), []);
  assert.deepEqual(moreNodesOf(3, [], 'vm'), [{ name: 'vm-2' }, { name: 'vm-3' }]);
  assert.deepEqual(moreNodesOf(2, ['plain', 'arm64:linux/arm64/v8', 'old:linux/arm/v6'], 'vm'), [
    { name: 'vm-2' },
    { name: 'plain' },
    { name: 'arm64', platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } },
    { name: 'old', platform: { os: 'linux', architecture: 'arm', variant: 'v6' } },
  ]);
});

const BAD: readonly (readonly [string, () => unknown, RegExp])[] = [
  ['no node', () => nodeCountOf('0'), /--nodes 0: a system has from 1 to 50 nodes/],
  ['no number', () => nodeCountOf('two'), /--nodes two: /],
  ['the machine’s own name', () => moreNodesOf(1, ['vm'], 'vm'), /two nodes are called "vm"/],
  ['a name twice', () => moreNodesOf(2, ['vm-2'], 'vm'), /two nodes are called "vm-2"/],
  [
    'a name that cannot be',
    () => moreNodesOf(1, ['A_B'], 'vm'),
    /"A_B" is no name of a node: a lowercase RFC 1123/,
  ],
  ['no name', () => moreNodesOf(1, [':linux/amd64'], 'vm'), /"" is no name of a node/],
  [
    'another system',
    () => nodePlatformOf('windows/amd64'),
    /windows\/amd64 is no platform of a node: containers of this machine are linux/,
  ],
  ['no platform', () => nodePlatformOf('linux/a/b/c'), /Cannot read platform "linux\/a\/b\/c"/],
];
for (const [name, make, expected] of BAD) {
  test(`a node cannot be made of ${name}`, () => {
    assert.throws(make, expected);
  });
}
