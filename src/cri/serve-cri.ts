import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { chmod, lstat, unlink } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { isSystemError, messageOf } from '../base/coded-error.ts';
import type { CriCalls, CriCallsOptions } from './cri-calls.ts';
import { CriError } from './cri-error.ts';

/** The kernel's limit of a socket's path, the final zero byte left out. @see unix(7), sun_path */
const MAX_SOCKET_PATH_BYTES = 107;

export interface ServeCriOptions extends CriCallsOptions {
  /** Path of the unix socket; what lies there of a former run is replaced. */
  readonly socketPath: string;
}

export interface CriServer {
  /** `unix:///var/lib/drayage/cri.sock` */
  readonly endpoint: string;
  /** Stops taking calls and ends those that go on after a moment. */
  close(): Promise<void>;
}

/**
 * Serves CRI's image service on a unix socket that only its owner may use. What answers is loaded with the first client: on most
 * nodes there is none, and gRPC would be a tenth of an idle agent's memory.
 *
 * @throws CriError `BAD_ENDPOINT`, `IN_USE`
 */
export async function serveCri(options: ServeCriOptions): Promise<CriServer> {
  const { socketPath, logger } = options;
  if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH_BYTES) {
    throw new CriError(
      'BAD_ENDPOINT',
      `Cannot listen on ${JSON.stringify(socketPath)}: a socket’s path has at most ${MAX_SOCKET_PATH_BYTES} bytes`,
    );
  }
  await removeStale(socketPath);
  const waiting = new Set<Socket>();
  let calls: Promise<CriCalls> | undefined;
  const take = async (connection: Socket): Promise<void> => {
    waiting.add(connection);
    try {
      calls ??= import('./cri-calls.ts').then((module) => new module.CriCalls(options));
      const answering = await calls;
      if (!connection.destroyed) answering.take(connection);
    } catch (error) {
      logger.error({ error: messageOf(error) }, 'CRI cannot be spoken');
      connection.destroy();
    } finally {
      waiting.delete(connection);
    }
  };
  const server = createServer((connection) => {
    connection.on('error', () => connection.destroy());
    void take(connection);
  });
  server.listen(socketPath);
  try {
    await once(server, 'listening');
  } catch (error) {
    const text = `Cannot listen on ${JSON.stringify(socketPath)}: ${messageOf(error)}`;
    throw new CriError('BAD_ENDPOINT', text, { cause: error });
  }
  await chmod(socketPath, 0o600);
  return {
    endpoint: `unix://${socketPath}`,
    close: async () => {
      // Without waiting for clients that stay connected: their calls end below.
      server.close();
      for (const connection of waiting) connection.destroy();
      await (await calls?.catch(() => undefined))?.close();
      await unlink(socketPath).catch((error: unknown) => {
        if (!isSystemError(error, 'ENOENT')) throw error;
      });
    },
  };
}

/** Removes a socket that a killed server left; anything else is somebody's file. */
async function removeStale(socketPath: string): Promise<void> {
  const found = await lstat(socketPath).catch((error: unknown) => {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new CriError(
      'IN_USE',
      `Cannot listen on ${JSON.stringify(socketPath)}: there is a file that is no socket`,
    );
  await unlink(socketPath);
}
