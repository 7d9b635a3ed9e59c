import { parentPort, type MessagePort } from 'node:worker_threads';
import { CodedError, messageOf } from '../base/coded-error.ts';
import { bytePath } from './_byte-path.ts';
import { removeTree } from './_tree.ts';
import type { ToPool, ToWorker, WorkerTask } from './_unpack-messages.ts';
import type { UnpackedLayer } from './apply-options.ts';
import { InflatePartner, serveInflate } from './gzip/inflate-partner.ts';
import { mergeLayers } from './merge-layers.ts';
import { settleLayer } from './settle-layer.ts';
import { runUnpackJob, type UnpackResult } from './unpack-job.ts';

/*
 * The inside of a worker thread of `unpack-pool.ts`: runs the jobs that it is sent, several at a time, and says after each
 * chunk that it was used, so that no more than a window of bytes is ever under way.
 */

interface Running {
  readonly abort: AbortController;
  readonly chunks: Uint8Array<ArrayBuffer>[];
  ended: boolean;
  partner: InflatePartner | undefined;
  wake: () => void;
}

const port = parentPort;
if (port === null) throw new Error('Cannot run unpack-worker: it is not a worker thread');
const running = new Map<number, Running>();

const post = (message: ToPool, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);

port.on('message', (message: ToWorker) => {
  if (message.kind === 'start') {
    void start(message);
    return;
  }
  if (message.kind === 'serve') {
    serveInflate(message.port, () => running.size > 0);
    return;
  }
  const job = running.get(message.id);
  if (message.kind === 'partner') {
    if (job === undefined) message.port.close();
    else engage(job, message.port);
    return;
  }
  if (job === undefined) return;
  if (message.kind === 'chunk') job.chunks.push(message.chunk);
  else if (message.kind === 'end') job.ended = true;
  else job.abort.abort(new Error('aborted'));
  job.wake();
});

async function start({ id, task }: Extract<ToWorker, { kind: 'start' }>): Promise<void> {
  const entry: Running = {
    abort: new AbortController(),
    chunks: [],
    ended: false,
    partner: undefined,
    wake: () => {},
  };
  running.set(id, entry);
  try {
    post({ kind: 'done', id, result: await run(task, id, entry) });
  } catch (error) {
    post({
      kind: 'failed',
      id,
      code: error instanceof CodedError ? error.code : undefined,
      message: messageOf(error),
    });
  } finally {
    running.delete(id);
    entry.partner?.close();
  }
}

function run(
  task: WorkerTask,
  id: number,
  entry: Running,
): Promise<UnpackResult> | UnpackedLayer | undefined {
  if (task.kind === 'unpack') {
    const partner = (): InflatePartner | undefined =>
      entry.partner?.gone === true ? undefined : entry.partner;
    return runUnpackJob(task.job, chunksOf(id, entry), entry.abort.signal, partner);
  }
  if (task.kind === 'settle') return settleLayer(task.request);
  if (task.kind === 'merge') mergeLayers(task.layers, task.target);
  else removeTree(bytePath(task.path));
  return undefined;
}

function engage(job: Running, port: MessagePort): void {
  job.partner?.close();
  job.partner = new InflatePartner(port);
}

async function* chunksOf(id: number, job: Running): AsyncGenerator<Uint8Array> {
  let before: Uint8Array<ArrayBuffer> | undefined;
  for (;;) {
    job.abort.signal.throwIfAborted();
    const chunk = job.chunks.shift();
    if (chunk !== undefined) {
      yield chunk;
      // Whoever asks for the next chunk may still inflate this one, but is done with the one before.
      if (before !== undefined) post({ kind: 'used', id, chunk: before }, [before.buffer]);
      before = chunk;
    } else if (job.ended) {
      return;
    } else {
      await new Promise<void>((resolve) => {
        job.wake = resolve;
      });
    }
  }
}
