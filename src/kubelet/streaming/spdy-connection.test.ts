import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { SpdyConnection } from './spdy-connection.ts';
import { SPDY_DICTIONARY } from './spdy-dictionary.ts';
import { controlFrame, dataFrame, FRAME, words } from './spdy-frames.ts';
import type { SpdyStream } from './spdy-stream.ts';

async function pair(t: TestContext): Promise<[Socket, Socket]> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const taken = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const one = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const other = await taken;
  t.after(() => {
    one.destroy();
    other.destroy();
    server.close();
  });
  return [one, other];
}

async function textOf(stream: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

const headers = (type: string): Map<string, string> => new Map([['streamType', type]]);

test('the dictionary is the one that every other implementation has', async () => {
  const { deflateSync } = await import('node:zlib');
  assert.equal(SPDY_DICTIONARY.length, 1423);
  // RFC 1950: the four bytes behind the first two are the Adler-32 of the dictionary.
  const dictionaryId = deflateSync('', { dictionary: SPDY_DICTIONARY }).subarray(2, 6).toString('hex');
  assert.equal(dictionaryId, 'e3c6a7c2');
});

test('streams carry bytes both ways, end each way by itself and know their headers', async (t) => {
  const [near, far] = await pair(t);
  const server = new SpdyConnection(far, {
    server: true,
    onStream: (stream) => {
      void textOf(stream).then((text) => stream.end(`${stream.headers.get('streamtype') ?? ''}:${text}`));
    },
  });
  const client = new SpdyConnection(near, { server: false, onStream: () => undefined });
  const streams = await Promise.all(['a', 'b', 'c'].map((name) => client.open(headers(name))));
  const big = 'x'.repeat(300_000);
  const answers = streams.map((stream) => textOf(stream));
  for (const stream of streams) stream.end(big);
  assert.deepEqual(await Promise.all(answers), [`a:${big}`, `b:${big}`, `c:${big}`]);
  await client.finish();
  await server.closed;
});

test('what was sent last arrives, also where the other end sent what nobody read', async (t) => {
  const [near, far] = await pair(t);
  const opened: SpdyStream[] = [];
  const both = Promise.withResolvers<void>();
  const server = new SpdyConnection(far, {
    server: true,
    onStream: (stream) => {
      opened.push(stream);
      if (opened.length === 2) both.resolve();
    },
  });
  const client = new SpdyConnection(near, { server: false, onStream: () => undefined });
  const [input, errors] = [await client.open(headers('stdin')), await client.open(headers('error'))];
  await both.promise;
  const failures: Error[] = [];
  near.on('error', (error) => failures.push(error));
  input.on('error', () => undefined);
  // More than the server takes of a stream that nobody reads.
  input.write(Buffer.alloc(8 * 1024 * 1024));
  await once(far, 'data');
  opened.find((stream) => stream.headers.get('streamtype') === 'error')?.end('it failed');
  const finished = server.finish();
  assert.equal(await textOf(errors), 'it failed');
  await client.finish();
  await finished;
  assert.deepEqual(failures, [], 'the connection was reset');
});

test('the end of a connection ends its streams, and nothing can be opened any more', async (t) => {
  const [near, far] = await pair(t);
  const opened = Promise.withResolvers<SpdyStream>();
  const server = new SpdyConnection(far, { server: true, onStream: opened.resolve });
  const client = new SpdyConnection(near, { server: false, onStream: () => undefined });
  await client.open(headers('a'));
  const stream = await opened.promise;
  const gone = new Promise<void>((resolve) => stream.once('close', resolve));
  stream.resume();
  near.destroy();
  await gone;
  await server.closed;
  await assert.rejects(client.open(headers('b')), { code: 'CLOSED' });
});

test('a ping is answered with itself, and a stream that is reset is gone', async (t) => {
  const [near, far] = await pair(t);
  const server = new SpdyConnection(far, { server: true, onStream: () => undefined });
  near.write(controlFrame(FRAME.PING, 0, words(7)));
  const answer = await new Promise<Buffer>((resolve) => near.once('data', resolve));
  assert.deepEqual(answer, controlFrame(FRAME.PING, 0, words(7)));
  server.close();
});

const nonsense: [name: string, bytes: Buffer][] = [
  ['another version', Buffer.from('8002000100000000', 'hex')],
  ['a frame without end', Buffer.from('80030001ffffffff', 'hex')],
  ['headers that are no zlib', controlFrame(FRAME.SYN_STREAM, 0, Buffer.alloc(30, 0xff))],
  ['plain text', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
];
for (const [name, bytes] of nonsense) {
  test(`${name} closes the connection`, async (t) => {
    const [near, far] = await pair(t);
    const server = new SpdyConnection(far, { server: true, onStream: () => assert.fail('no stream') });
    near.on('error', () => undefined);
    near.end(bytes);
    await server.closed;
  });
}

test('data of a stream that nobody opened is passed over', async (t) => {
  const [near, far] = await pair(t);
  const server = new SpdyConnection(far, { server: true, onStream: () => assert.fail('no stream') });
  near.write(dataFrame(99, Buffer.from('x'), false));
  near.end(controlFrame(FRAME.PING, 0, words(1)));
  await server.closed;
});
