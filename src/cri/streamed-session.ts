import type { Duplex } from 'node:stream';
import { http, https } from '../base/node-http.ts';
import { messageOf } from '../base/coded-error.ts';
import { SpdyConnection } from '../kubelet/streaming/spdy-connection.ts';
import type { SpdyStream } from '../kubelet/streaming/spdy-stream.ts';
import type { ContainerSession } from '../runtime/container-session.ts';
import { RuntimeError } from '../runtime/runtime-error.ts';

const PROTOCOL = 'v4.channel.k8s.io';

/** A refusal is a line of text, and so is the word about a session's end. */
const MAX_TEXT_BYTES = 64 * 1024;

interface Status {
  readonly status?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly causes?: readonly { reason?: string; message?: string }[] };
}

/**
 * Opens a session at the address that a runtime has given for it, over SPDY, which every runtime speaks.
 *
 * @throws RuntimeError `UNAVAILABLE` when the address does not answer, `EXEC_FAILED` when it refuses
 */
export async function streamedSession(
  url: string,
  wanted: { readonly tty: boolean; readonly stdin: boolean; readonly stderr: boolean },
  signal: AbortSignal,
): Promise<ContainerSession> {
  const { socket, head } = await upgraded(url, signal);
  const connection = new SpdyConnection(socket, {
    server: false,
    head,
    onStream: (stream) => stream.destroy(),
  });
  const open = (type: string): Promise<SpdyStream> => connection.open(new Map([['streamtype', type]]));
  const close = (): void => connection.close();
  signal.addEventListener('abort', close, { once: true });
  void connection.closed.then(() => signal.removeEventListener('abort', close));
  const errors = await open('error');
  // The other direction of this stream is never used.
  errors.end();
  const stdin = wanted.stdin ? await open('stdin') : undefined;
  const stdout = await open('stdout');
  const stderr = wanted.stderr ? await open('stderr') : undefined;
  const sizes = wanted.tty ? await open('resize') : undefined;
  for (const stream of [errors, stdin, stdout, stderr, sizes]) stream?.on('error', () => undefined);
  stdin?.resume();
  const exit = exitOf(errors);
  exit.catch(() => undefined);
  return {
    stdin,
    stdout,
    stderr,
    resize: (columns, rows) => {
      sizes?.write(JSON.stringify({ Width: columns, Height: rows }));
    },
    exit,
    close,
  };
}

async function exitOf(errors: SpdyStream): Promise<number> {
  const text = await textOf(errors);
  if (text === '') throw new RuntimeError('UNAVAILABLE', 'the runtime ended the session without a word');
  let status: Status;
  try {
    status = JSON.parse(text) as Status;
  } catch (error) {
    throw new RuntimeError('EXEC_FAILED', text, { cause: error });
  }
  if (status.status === 'Success') return 0;
  const causes = status.details?.causes ?? [];
  const code = Number(causes.find(({ reason }) => reason === 'ExitCode')?.message);
  if (status.reason === 'NonZeroExitCode' && Number.isInteger(code)) return code;
  const why = causes[0]?.message ?? status.message ?? text;
  throw new RuntimeError(
    'EXEC_FAILED',
    why.replace(/^error (?:executing command in|attaching to) container: /, ''),
  );
}

async function textOf(stream: AsyncIterable<unknown>): Promise<string> {
  let text = '';
  for await (const chunk of stream) {
    text += String(chunk);
    if (text.length > MAX_TEXT_BYTES) break;
  }
  return text.trim();
}

async function upgraded(url: string, signal: AbortSignal): Promise<{ socket: Duplex; head: Buffer }> {
  const send = url.startsWith('https:') ? https.request : http.request;
  const headers = { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': PROTOCOL };
  return await new Promise((resolve, reject) => {
    const asked = send(url, { method: 'POST', headers, agent: false, signal });
    asked.once('upgrade', (_response, socket, head) => resolve({ socket, head }));
    asked.once('response', (response) => {
      void textOf(response).then((text) => reject(new RuntimeError('EXEC_FAILED', text)));
    });
    asked.once('error', (error) => {
      const message = `Cannot open the session that the runtime offers: ${messageOf(error)}`;
      reject(new RuntimeError('UNAVAILABLE', message, { cause: error }));
    });
    asked.end();
  });
}
