import { startKubeletServer, type KubeletServerOptions } from './kubelet-server.ts';
import type { ListeningServer } from './listening-server.ts';
import type { PlainPort } from './plain-ports.ts';
import { startPlainServer } from './plain-server.ts';

/** Starts everything on which a node answers; the port is that of its endpoint, 0 when it has none. */
export async function startNodeServers(
  endpoint: Pick<KubeletServerOptions, 'host' | 'port' | 'tls'> | undefined,
  plainPorts: readonly PlainPort[],
  answers: Omit<KubeletServerOptions, 'host' | 'port' | 'tls'>,
): Promise<ListeningServer> {
  const servers: ListeningServer[] = [];
  const close = async (): Promise<void> => {
    for (const server of servers.splice(0)) await server.close();
  };
  try {
    const main = endpoint === undefined ? undefined : await startKubeletServer({ ...endpoint, ...answers });
    if (main !== undefined) servers.push(main);
    for (const plain of plainPorts) servers.push(await startPlainServer(plain, answers, answers.logger));
    return { port: main?.port ?? 0, close };
  } catch (error) {
    await close();
    throw error;
  }
}
