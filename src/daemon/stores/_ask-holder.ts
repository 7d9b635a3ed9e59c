import type { Agent, IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { http } from '../../base/node-http.ts';
import { isSystemError, messageOf } from '../../base/coded-error.ts';
import { SESSION_HEADER, type CallName, type StoreCalls } from './store-calls.ts';
import { StoreError } from './store-error.ts';
import { fromWireError, type WireError } from './wire-error.ts';

interface Question {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: Uint8Array | string;
  readonly session?: string;
}

/** Puts questions to the process that holds a root. */
export class HolderClient {
  readonly #socketPath: string;
  readonly #agent: Agent;
  #session = '';

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
    this.#agent = new http.Agent({ keepAlive: true });
  }

  set session(id: string) {
    this.#session = id;
  }

  async call<N extends CallName>(
    name: N,
    ask: StoreCalls[N]['ask'],
    signal?: AbortSignal,
  ): Promise<StoreCalls[N]['answer']> {
    return (await this.#json(`/v1/calls/${name}`, JSON.stringify(ask), signal)) as StoreCalls[N]['answer'];
  }

  async append(ingest: string, bytes: Uint8Array): Promise<void> {
    await this.#json(`/v1/ingests/${ingest}`, bytes);
  }

  /** Sends a question and returns the answer once its head is there. @throws what the holder told, StoreError */
  async ask(question: Question, signal?: AbortSignal): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const outgoing = http.request(
      {
        socketPath: this.#socketPath,
        agent: this.#agent,
        method: question.method,
        path: question.path,
        headers: { host: 'root', [SESSION_HEADER]: this.#session },
        ...(signal === undefined ? {} : { signal }),
      },
      resolve,
    );
    outgoing.on('error', reject);
    outgoing.end(question.body);
    let answer: IncomingMessage;
    try {
      answer = await promise;
    } catch (error) {
      signal?.throwIfAborted();
      throw holderGone(error);
    }
    if (answer.statusCode === 200) return answer;
    const told = JSON.parse(await textOf(answer)) as { error: WireError };
    throw fromWireError(told.error);
  }

  /** Asks for lines and yields them. */
  async *lines(question: Question, signal?: AbortSignal): AsyncGenerator {
    const answer = await this.ask(question, signal);
    try {
      for await (const line of createInterface({ input: answer, crlfDelay: Infinity }))
        yield JSON.parse(line) as unknown;
    } catch (error) {
      signal?.throwIfAborted();
      throw holderGone(error);
    } finally {
      answer.destroy();
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  async #json(path: string, body: Uint8Array | string, signal?: AbortSignal): Promise<unknown> {
    const answer = await this.ask({ method: 'POST', path, body }, signal);
    return (JSON.parse(await textOf(answer)) as { answer: unknown }).answer;
  }
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
  } catch (error) {
    throw holderGone(error);
  }
  return Buffer.concat(chunks).toString('utf8');
}

export function holderGone(cause: unknown): StoreError {
  const reason = isSystemError(cause) ? (cause.code ?? messageOf(cause)) : messageOf(cause);
  return new StoreError(
    'HOLDER_GONE',
    `Cannot go on: the process that held the root and worked for this one has ended (${reason})`,
    { cause, retryable: true },
  );
}
