import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '../oci/digest.ts';
import type { PullProgress } from '../pull/progress.ts';
import { ProgressPrinter } from './_progress.ts';

/** A terminal that keeps what it shows, line by line. */
function screen(rows = 24, columns = 100) {
  const lines = [''];
  return {
    isTTY: true as const,
    rows,
    columns,
    lines,
    write: (text: string | Uint8Array): boolean => {
      // oxlint-disable-next-line no-control-regex
      for (const piece of String(text).split(/(\u001b\[2K|\u001b\[1A|\r|\n)/)) {
        if (piece === '\u001b[2K') lines[lines.length - 1] = '';
        else if (piece === '\u001b[1A') lines.pop();
        else if (piece === '\n') lines.push('');
        else if (piece !== '\r') lines[lines.length - 1] += piece;
      }
      return true;
    },
  };
}

const [one, two] = [digestOf('one'), digestOf('two')];
const step = (digest: typeof one, more: Partial<PullProgress>): PullProgress => ({
  image: 'registry.example/app:v1',
  digest,
  kind: 'layer',
  phase: 'downloading',
  bytes: 0,
  total: 2_000_000,
  rate: 0,
  ...more,
});

test('a terminal shows each layer under way with a bar, rate and time left, and what a waiting one waits for', () => {
  const terminal = screen();
  const printer = new ProgressPrinter('plain', terminal);
  printer.pull(step(one, { bytes: 500_000, rate: 250_000, etaMs: 6_000 }));
  const behind = [{ image: 'registry.example/app:v1', digest: one }];
  printer.pull(step(two, { phase: 'queued', waiting: { for: 'registry', limit: 1, ahead: 0, behind } }));
  assert.deepEqual(terminal.lines, [
    `${one.slice(7, 19)}  layer   downloading  [=====               ] 25 %  500 kB/2.00 MB  250 kB/s  6 s left`.slice(
      0,
      99,
    ),
    `${two.slice(7, 19)}  layer   queued  next; 1 at a time of this registry, now of registry.example/app:v1`,
  ]);
  printer.pull(step(one, { phase: 'done', bytes: 2_000_000 }));
  printer.pull(
    step(two, { phase: 'shared', waiting: { for: 'layer', behind: [{ image: 'other:v2', digest: two }] } }),
  );
  assert.deepEqual(terminal.lines, [
    `${one.slice(7, 19)}  layer   done  100 %`,
    `${two.slice(7, 19)}  layer   shared  the pull of other:v2 brings it`,
  ]);
  printer.line('that was it');
  assert.deepEqual(terminal.lines.slice(1), ['that was it', '']);
});

test('more layers than the terminal has rows are counted, and no line is longer than it is wide', () => {
  const terminal = screen(6, 40);
  const printer = new ProgressPrinter('plain', terminal);
  for (let n = 0; n < 9; n++) printer.pull(step(digestOf(String(n)), { rate: 1_000, etaMs: 7_200_000 }));
  assert.equal(terminal.lines.length, 4);
  assert.equal(terminal.lines.at(-1), '… and 6 more');
  assert.ok(terminal.lines.every((line) => line.length < 40));
});

test('where there is no terminal only what is done is said, and programs get every step', () => {
  const said: string[] = [];
  const stream = { isTTY: false, write: (text: string | Uint8Array) => said.push(String(text)) > 0 };
  const printer = new ProgressPrinter('plain', stream);
  printer.pull(step(one, { bytes: 10 }));
  printer.pull(step(one, { phase: 'done', bytes: 2_000_000 }));
  assert.deepEqual(said, [`${one.slice(7, 19)}  layer   done  100 %\n`]);
  said.length = 0;
  new ProgressPrinter('json', stream).pull(step(one, { etaMs: 5 }));
  assert.equal((JSON.parse(said.join('')) as PullProgress).etaMs, 5);
  said.length = 0;
  new ProgressPrinter('none', stream).pull(step(one, {}));
  assert.deepEqual(said, []);
});
