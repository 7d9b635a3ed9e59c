import { readFileSync } from 'node:fs';
import { Agent, request } from 'undici';
import { parse } from 'yaml';

interface Kubeconfig {
  readonly clusters: readonly { cluster: { server: string; 'certificate-authority-data': string } }[];
  readonly users: readonly { user: { 'client-certificate-data': string; 'client-key-data': string } }[];
}

/** A client that keeps its connections, as informers and controllers do. */
export class ApiLoad {
  readonly #origin: string;
  readonly #agent: Agent;

  constructor(kubeconfig: string, connections: number) {
    const { clusters, users } = parse(readFileSync(kubeconfig, 'utf8')) as Kubeconfig;
    const cluster = clusters[0]?.cluster;
    const user = users[0]?.user;
    if (cluster === undefined || user === undefined) throw new Error(`nothing to use in ${kubeconfig}`);
    this.#origin = cluster.server;
    const text = (data: string): string => Buffer.from(data, 'base64').toString();
    this.#agent = new Agent({
      connections,
      bodyTimeout: 0,
      headersTimeout: 0,
      connect: {
        ca: text(cluster['certificate-authority-data']),
        cert: text(user['client-certificate-data']),
        key: text(user['client-key-data']),
      },
    });
  }

  /** Sends one request and reads the answer; returns how many milliseconds it took. */
  async time(method: 'GET' | 'POST' | 'PUT', path: string, body?: string): Promise<number> {
    const before = performance.now();
    await this.text(method, path, body);
    return performance.now() - before;
  }

  async text(method: 'GET' | 'POST' | 'PUT', path: string, body?: string): Promise<string> {
    const answer = await this.#send(method, path, body);
    const said = await answer.body.text();
    if (answer.statusCode >= 300)
      throw new Error(`${method} ${path}: ${answer.statusCode} ${said.slice(0, 300)}`);
    return said;
  }

  /** Opens a watch whose events are counted line by line, in order. */
  async watch(path: string): Promise<Watcher> {
    const answer = await this.#send('GET', path);
    if (answer.statusCode !== 200) throw new Error(`GET ${path}: ${answer.statusCode}`);
    return new Watcher(answer.body);
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }

  #send(method: 'GET' | 'POST' | 'PUT', path: string, body?: string): ReturnType<typeof request> {
    return request(`${this.#origin}${path}`, {
      method,
      dispatcher: this.#agent,
      headers: {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body }),
    });
  }
}

const NEWLINE = 10;

/** Counts the events of one watch. */
export class Watcher {
  #events = 0;
  #bytes = 0;
  #wanted = Number.POSITIVE_INFINITY;
  readonly #reached = Promise.withResolvers<void>();

  constructor(body: AsyncIterable<Buffer>) {
    this.#read(body).then(
      () => this.#reached.reject(new Error(`the watch ended after ${this.#events} events`)),
      (error: unknown) => this.#reached.reject(error),
    );
    this.#reached.promise.catch(() => undefined);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Resolves when so many events have come, rejects when the watch ends before. */
  events(wanted: number): Promise<void> {
    this.#wanted = wanted;
    if (this.#events >= wanted) this.#reached.resolve();
    return this.#reached.promise;
  }

  async #read(body: AsyncIterable<Buffer>): Promise<void> {
    for await (const chunk of body) {
      this.#bytes += chunk.length;
      for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) this.#events++;
      if (this.#events >= this.#wanted) this.#reached.resolve();
    }
  }
}

/** Runs `count` numbered jobs, `width` at a time. */
export async function inParallel(
  count: number,
  width: number,
  job: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await job(index);
  };
  await Promise.all(Array.from({ length: width }, worker));
}
