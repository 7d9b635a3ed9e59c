import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'commander';
import { transferLimits, withTransferLimits, type TransferOptions } from './_transfer-limits.ts';

function limits(args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const command = withTransferLimits(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  return transferLimits(command.parse(args, { from: 'user' }).opts<TransferOptions>(), environment);
}

test('limits are read from options, and from the environment where they are not given', () => {
  assert.deepEqual(limits([]), {});
  assert.deepEqual(limits(['--max-downloads=6', '--max-downloads-per-registry=2', '--max-bandwidth=1.5M']), {
    parallelDownloads: 6,
    parallelDownloadsPerRegistry: 2,
    bytesPerSecond: 1_500_000,
  });
  const environment = { DRAYAGE_MAX_DOWNLOADS: '4', DRAYAGE_MAX_BANDWIDTH: '8Mi' };
  assert.deepEqual(limits(['--max-downloads=1'], environment), {
    parallelDownloads: 1,
    bytesPerSecond: 8 * 1024 * 1024,
  });
});

const BANDWIDTHS: readonly (readonly [string, number | undefined])[] = [
  ['1024', 1024],
  ['500k', 500_000],
  ['10M', 10_000_000],
  ['10MB/s', 10_000_000],
  ['2Gi', 2 * 1024 ** 3],
  ['1kib', 1024],
  ['1000', undefined],
  ['0', undefined],
  ['-5M', undefined],
  ['fast', undefined],
  ['10T', undefined],
  ['', undefined],
];
for (const [text, bytes] of BANDWIDTHS) {
  test(`a bandwidth of ${JSON.stringify(text)} is ${bytes ?? 'refused'}`, () => {
    if (bytes === undefined)
      assert.throws(() => limits([`--max-bandwidth=${text}`]), /bytes a second are expected/);
    else assert.equal(limits([`--max-bandwidth=${text}`]).bytesPerSecond, bytes);
  });
}

test('what makes no sense is refused and says where it stands', () => {
  for (const text of ['0', '1001', 'many', '1.5'])
    assert.throws(() => limits([`--max-downloads=${text}`]), /from 1 to 1000/);
  assert.throws(
    () => limits([], { DRAYAGE_MAX_BANDWIDTH: 'fast' }),
    /\$DRAYAGE_MAX_BANDWIDTH is "fast": bytes/,
  );
});
