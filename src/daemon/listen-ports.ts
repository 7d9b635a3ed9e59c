import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { writeFileAtomic } from '../base/atomic-file.ts';
import { CodedError, isSystemError } from '../base/coded-error.ts';

export class PortError extends CodedError<'PORT_TAKEN'> {}

/** A port to listen on, and what has to be said about it. */
export interface ChosenPort {
  readonly port: number;
  /** Set when it is another than the usual one. */
  readonly remark?: string;
}

/**
 * Remembers which ports a root serves on, so that addresses written into kubeconfigs, images and credentials stay right
 * from one start to the next.
 */
export class PortBook {
  readonly #path: string;
  #ports: Record<string, number>;

  private constructor(path: string, ports: Record<string, number>) {
    this.#path = path;
    this.#ports = ports;
  }

  static async open(path: string): Promise<PortBook> {
    try {
      const value: unknown = JSON.parse(await readFile(path, 'utf8'));
      const entries = Object.entries(typeof value === 'object' && value !== null ? value : {});
      return new PortBook(
        path,
        Object.fromEntries(entries.filter((entry): entry is [string, number] => Number.isInteger(entry[1]))),
      );
    } catch (error) {
      if (isSystemError(error, 'ENOENT') || error instanceof SyntaxError) return new PortBook(path, {});
      throw error;
    }
  }

  /**
   * Chooses the port of a service on 127.0.0.1: the one asked for, else the one of last time, else the usual one, else any.
   *
   * @param asked a port that must be had; 0 means any
   * @throws PortError `PORT_TAKEN` when the port asked for, or the one of last time, is in use
   */
  async choose(service: string, usual: number, asked: number | undefined): Promise<ChosenPort> {
    if (asked !== undefined && asked !== 0) return { port: await this.#require(asked, `--${service}-port`) };
    const last =
      asked === undefined && Object.hasOwn(this.#ports, service) ? this.#ports[service] : undefined;
    if (last !== undefined) {
      if (await isFree(last)) return { port: last };
      throw new PortError(
        'PORT_TAKEN',
        `Cannot serve the ${service} on port ${last} as before: another program listens there; stop it, or choose one with --${service}-port`,
      );
    }
    if (asked === undefined && (await isFree(usual))) return { port: usual };
    return asked === undefined
      ? { port: await anyFree(), remark: `port ${usual} is taken, so the ${service} listens on another one` }
      : { port: await anyFree() };
  }

  /** Writes down where a service listens. */
  async remember(service: string, port: number): Promise<void> {
    if (this.#ports[service] === port) return;
    this.#ports = { ...this.#ports, [service]: port };
    await writeFileAtomic(this.#path, `${JSON.stringify(this.#ports)}\n`);
  }

  async #require(port: number, option: string): Promise<number> {
    if (await isFree(port)) return port;
    throw new PortError(
      'PORT_TAKEN',
      `Cannot listen on port ${port} (${option}): another program listens there`,
    );
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

function anyFree(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
