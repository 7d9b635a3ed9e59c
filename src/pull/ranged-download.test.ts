import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { Clock } from '../base/clock.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { digestOf } from '../oci/digest.ts';
import type { BlobStream } from '../remote/fetch-content.ts';
import { RemoteError } from '../remote/remote-error.ts';
import { DownloadStory, type BlobOpener } from './download.ts';
import { downloadInRanges } from './ranged-download.ts';

const MIB = 1024 * 1024;
const PIECE = 256 * 1024;
const CONNECTIONS = 4;
const never = new AbortController().signal;

/** Some 70 MB, no two pieces of which are equal. */
const blob = Buffer.alloc(67 * MIB + 12_345);
for (let at = 0; at + 4 <= blob.length; at += 4) blob.writeUInt32LE(at, at);
const descriptor: Descriptor = {
  mediaType: 'application/vnd.oci.image.layer.v1.tar',
  digest: digestOf(blob),
  size: blob.length,
};

interface Request {
  readonly from: number;
  readonly to: number;
  readonly whole: boolean;
}

/** A registry on one connection after another, each of which brings a piece in `pieceMs`; the time is its own. */
class Registry {
  readonly requests: Request[] = [];
  readonly #pieceMs: number;
  readonly #ranges: (request: number) => boolean;
  readonly #breaks: ReadonlyMap<number, number>;
  now = 1_000;
  open = 0;
  mostOpen = 0;

  /** @param breaks which request breaks, and behind how many bytes */
  constructor(
    pieceMs: number,
    ranges: (request: number) => boolean = () => true,
    breaks: ReadonlyMap<number, number> = new Map(),
  ) {
    this.#pieceMs = pieceMs;
    this.#ranges = ranges;
    this.#breaks = breaks;
  }

  readonly clock: Clock = { now: () => this.now, sleep: () => Promise.resolve() };

  readonly opener: BlobOpener = (_, { offset = 0, length }) => {
    const index = this.requests.length;
    const partial = offset > 0 || length !== undefined;
    const whole = !(partial && this.#ranges(index));
    const from = whole ? 0 : offset;
    const to = whole || length === undefined ? blob.length : offset + length;
    this.requests.push({ from, to, whole });
    const body = Readable.from(this.#pieces(from, to, this.#breaks.get(index)), { objectMode: false });
    const stream: BlobStream = { body, offset: from, host: 'a', ...(whole ? { whole: true } : {}) };
    return Promise.resolve(stream);
  };

  async *#pieces(from: number, to: number, breaksAfter: number | undefined): AsyncGenerator<Buffer> {
    this.mostOpen = Math.max(this.mostOpen, ++this.open);
    try {
      for (let at = from; at < to; at += PIECE) {
        await Promise.resolve();
        if (breaksAfter !== undefined && at - from >= breaksAfter)
          throw Object.assign(new Error('reset'), { code: 'ECONNRESET' });
        this.now += this.#pieceMs;
        yield blob.subarray(at, Math.min(at + PIECE, to));
      }
    } finally {
      this.open--;
    }
  }
}

async function download(
  registry: Registry,
  { have = 0, connections = CONNECTIONS } = {},
): Promise<{ digest: string; story: DownloadStory }> {
  const story = new DownloadStory();
  const hash = createHash('sha256').update(blob.subarray(0, have));
  const context = { open: registry.opener, clock: registry.clock };
  for await (const chunk of downloadInRanges(context, descriptor, have, story, new Set(), connections, never))
    hash.update(chunk);
  return { digest: `sha256:${hash.digest('hex')}`, story };
}

/** Asserts that the answers touch each byte from `have` on exactly once. */
function assertEachByteOnce(requests: readonly Request[], have: number): void {
  let next = have;
  for (const { from, to } of requests.toSorted((a, b) => a.from - b.from)) {
    assert.equal(from, next);
    next = to;
  }
  assert.equal(next, blob.length);
}

const SLOW_MS = 100;

test('where one connection is slow the rest comes in ranges side by side, each byte once and in order', async () => {
  const registry = new Registry(SLOW_MS);
  const { digest, story } = await download(registry);
  assert.equal(digest, descriptor.digest);
  assert.equal(story.travelled, blob.length);
  assertEachByteOnce(registry.requests, 0);
  assert.ok(registry.requests.length > 10);
  assert.equal(registry.mostOpen, CONNECTIONS);
});

test('where one connection is fast the rest comes by it in one answer', async () => {
  const registry = new Registry(1);
  assert.equal((await download(registry)).digest, descriptor.digest);
  assertEachByteOnce(registry.requests, 0);
  assert.equal(registry.requests.length, 2);
  assert.equal(registry.mostOpen, 1);
});

test('a download that is taken up asks for what is missing only', async () => {
  const registry = new Registry(SLOW_MS);
  const { digest, story } = await download(registry, { have: MIB + 1 });
  assert.equal(digest, descriptor.digest);
  assert.equal(story.travelled, blob.length - MIB - 1);
  assertEachByteOnce(registry.requests, MIB + 1);
});

test('a host that serves no ranges is asked once, and heard to the end', async () => {
  const registry = new Registry(SLOW_MS, () => false);
  const { digest, story } = await download(registry);
  assert.equal(digest, descriptor.digest);
  assert.equal(story.travelled, blob.length);
  assert.equal(registry.requests.length, 1);
});

test('one connection, or a small layer, asks for no ranges', async () => {
  const one = new Registry(SLOW_MS);
  await download(one, { connections: 1 });
  assert.deepEqual(one.requests, [{ from: 0, to: blob.length, whole: true }]);
  const small = new Registry(SLOW_MS);
  await download(small, { have: 10 * MIB });
  assert.deepEqual(small.requests, [{ from: 10 * MIB, to: blob.length, whole: false }]);
});

test('a range whose connection breaks is taken up where it broke', async () => {
  const registry = new Registry(SLOW_MS, () => true, new Map([[3, PIECE * 5]]));
  const { digest, story } = await download(registry);
  assert.equal(digest, descriptor.digest);
  assert.equal(story.travelled, blob.length);
  const broken = registry.requests[3];
  assert.ok(broken !== undefined);
  assert.ok(registry.requests.some(({ from, to }) => from === broken.from + PIECE * 5 && to === broken.to));
});

test('a host that stops serving ranges in the middle still ends in the right bytes', async () => {
  const registry = new Registry(SLOW_MS, (request) => request < 6);
  assert.equal((await download(registry)).digest, descriptor.digest);
  assert.equal(registry.open, 0);
});

test('a host that serves ranges wrongly is asked for all that is missing', async () => {
  for (const status of [206, 416]) {
    const registry = new Registry(SLOW_MS);
    let refusals = 0;
    const open: BlobOpener = (blobOf, range, signal) => {
      if (range.length === undefined) return registry.opener(blobOf, range, signal);
      refusals++;
      return Promise.reject(new RemoteError('BAD_RESPONSE', 'wrong range', { status }));
    };
    const hash = createHash('sha256');
    const context = { open, clock: registry.clock };
    const story = new DownloadStory();
    for await (const chunk of downloadInRanges(context, descriptor, 0, story, new Set(), CONNECTIONS, never))
      hash.update(chunk);
    assert.equal(`sha256:${hash.digest('hex')}`, descriptor.digest);
    assert.equal(refusals, 1);
    assert.equal(registry.requests.length, 1);
  }
});

test('ranges end when their reader leaves', async () => {
  const registry = new Registry(SLOW_MS);
  let seen = 0;
  const context = { open: registry.opener, clock: registry.clock };
  const chunks = downloadInRanges(context, descriptor, 0, new DownloadStory(), new Set(), CONNECTIONS, never);
  for await (const chunk of chunks) {
    seen += chunk.length;
    if (seen > 20 * MIB) break;
  }
  assert.equal(registry.open, 0);
  const asked = registry.requests.reduce((sum, { from, to }) => sum + to - from, 0);
  assert.ok(asked <= seen + CONNECTIONS * 4 * MIB, 'no more is under way than the ranges of all connections');
});
